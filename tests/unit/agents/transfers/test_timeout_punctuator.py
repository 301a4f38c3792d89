"""The punctuator that reminds of due transfers: once, again after a while, and whatever the worker's clock does."""

from __future__ import annotations

from agents.reminders import REMIND_AGAIN_AFTER_MS, Reminders
from agents.transfers.timeout import make_due_punctuator
from clearinghub.domain.transfers.transfer import State, Transfer
from clearinghub.engine.partition import HEAVY_ROUND_BYTES
from tables.transfers import TRANSFERS
from tests.fakes import MemoryView

DUE_MS = 1_700_000_000_000
HOUR_MS = 3_600_000


def view_with_a_transfer() -> MemoryView:
    view = MemoryView()
    states = ((State.RECEIVED_PREPARE, DUE_MS - 2), (State.RESERVED, DUE_MS - 1))
    view.put(TRANSFERS, "t", Transfer("t", "alice", "bob", 1, "USD", "c", DUE_MS, states, "h"))
    return view


def reminders(view: MemoryView) -> int:
    return len([one for one in view.take() if one.topic == "timeout"])


def test_a_due_transfer_is_reminded_of_again_only_after_a_while() -> None:
    view, punctuate = view_with_a_transfer(), make_due_punctuator(Reminders())
    counts = []
    for now_ms in (DUE_MS - 1, DUE_MS + 1, DUE_MS + 1_000, DUE_MS + 1 + REMIND_AGAIN_AFTER_MS):
        punctuate(view, now_ms)
        counts.append(reminders(view))

    assert [0, 1, 0, 1] == counts


def test_a_clock_that_was_ahead_and_is_set_back_holds_no_reminder_back() -> None:
    """Ahead, it reminded too early, in vain; the transfer must not wait until the clock has come so far again."""
    view, punctuate = view_with_a_transfer(), make_due_punctuator(Reminders())
    punctuate(view, DUE_MS + HOUR_MS)
    view.take()

    punctuate(view, DUE_MS + 1)

    assert 1 == reminders(view)


def test_a_reminder_that_was_decided_too_early_is_repeated_by_the_next_run() -> None:
    """A worker whose clock is a second ahead must not delay the expiry until the reminder is repeated anyhow."""
    view, reminders_written = view_with_a_transfer(), Reminders()
    punctuate = make_due_punctuator(reminders_written)
    counts = []
    for now_ms in (DUE_MS + 1, DUE_MS + 1_001, DUE_MS + 2_001):
        punctuate(view, now_ms)
        counts.append(reminders(view))
        reminders_written.decided("timeout", view.partition, "t")

    assert [1, 1, 1] == counts


def test_what_was_decided_on_one_partition_says_nothing_of_another() -> None:
    written = Reminders()
    assert ["t"] == list(written.to_write("timeout", 0, ["t"], 1))

    written.decided("timeout", 1, "t")
    written.decided("bulk-fulfil", 0, "t")

    assert [] == list(written.to_write("timeout", 0, ["t"], 2))


def test_many_transfers_that_are_due_at_once_expire_within_seconds() -> None:
    """Of 20,000, a run a second reminds of those that fit. What it writes is no heavy round."""
    view, reminders_written = MemoryView(), Reminders()
    punctuate = make_due_punctuator(reminders_written)
    states = ((State.RECEIVED_PREPARE, DUE_MS - 2), (State.RESERVED, DUE_MS - 1))
    due = {f"b51ec534-ee48-4575-b6a9-{number:012d}" for number in range(20_000)}
    for one in sorted(due):
        view.put(TRANSFERS, one, Transfer(one, "alice", "bob", 1, "USD", "c", DUE_MS, states, "h"))
    view.take()
    expired = (*states, (State.EXPIRED_RESERVED, DUE_MS + 1))

    seconds = 0
    while due:
        seconds += 1
        punctuate(view, DUE_MS + seconds * 1_000)
        written = [one for one in view.take() if one.topic == "timeout"]
        assert sum(len(one.key) + len(one.value) for one in written) < HEAVY_ROUND_BYTES
        for key in [one.key for one in written]:
            due.remove(key)
            view.put(TRANSFERS, key, Transfer(key, "alice", "bob", 1, "USD", "c", DUE_MS, expired, "h"))
            reminders_written.decided("timeout", view.partition, key)

    assert 5 == seconds
