"""Transfers that are due: the sweep finds them and writes to topic `timeout`, whose agent unwinds them (fspiop 3.8).

The sweep runs by the worker's clock and only reminds; the decision is the agent's, by the reminder's own time, on the
partition where fulfils are decided too: commit or timeout, never both.
"""

from __future__ import annotations

from typing import Final

import structlog

from agents.notifier import TransferNotifier
from agents.shell import LedgerContext, release_payer, store_transfer
from clearinghub.domain.timeout import Expired, decide_timeout
from clearinghub.engine.record import Handler, Record, Sweep, SweepView, View
from clearinghub.messages import VERSION, TimeoutMessage, decode, encode
from clearinghub.ports import Archive
from tables.transfers import DUE, FINISHED, TRANSFERS, at

log = structlog.get_logger(__name__)

SWEEP_COUNT_MAX: Final = 1_000
REMIND_AGAIN_AFTER_MS: Final = 30_000


def make_on_timeout(context: LedgerContext) -> Handler:
    """The handler of topic `timeout`."""

    def on_timeout(record: Record, view: View) -> None:
        line, _body = decode(record.value)
        outcome = decide_timeout(view.get(TRANSFERS, line["id"]), record.timestamp_ms)
        if not isinstance(outcome, Expired):
            return
        transfer = outcome.transfer
        log.debug("transfer-expired", transfer=transfer.transfer_id, was_reserved=outcome.was_reserved)
        assert transfer.error is not None
        store_transfer(view, transfer)
        notifier = TransferNotifier(record, view, transfer.transfer_id, None, context.hub_name)
        notifier.error(transfer.payer, transfer.error)
        if outcome.was_reserved:
            release_payer(view, transfer, record.timestamp_ms)
            notifier.error(transfer.payee, transfer.error)

    return on_timeout


def make_due_sweep() -> Sweep:
    """Remind of each due transfer, and again only after a while: the reminder may still be on its way."""
    reminded: dict[int, dict[str, int]] = {}

    def sweep(view: SweepView, now_ms: int) -> None:
        due = view.scan(TRANSFERS, DUE, at(DUE, now_ms), SWEEP_COUNT_MAX)
        before = reminded.get(view.partition, {})
        now = reminded[view.partition] = {}
        for transfer_id in due:
            last_ms = before.get(transfer_id)
            # A reminder from the future came of a clock that was ahead, and was in vain.
            if last_ms is not None and 0 <= now_ms - last_ms < REMIND_AGAIN_AFTER_MS:
                now[transfer_id] = last_ms
                continue
            now[transfer_id] = now_ms
            message: TimeoutMessage = {"v": VERSION, "kind": "timeout", "id": transfer_id}
            view.emit_to_partition("timeout", view.partition, transfer_id, encode(message))

    return sweep


def make_retention_sweep(retention_ms: int, archive: Archive | None = None) -> Sweep:
    """Finished transfers answer duplicates and GETs for a time, then leave the table; their topic keeps them.

    With an archive they stay until it has them, however long that takes: the topic may drop them before (ADR 20).
    """

    def sweep(view: SweepView, now_ms: int) -> None:
        until_ms, overdue_ms = now_ms - retention_ms, 0
        for transfer_id in view.scan(TRANSFERS, FINISHED, at(FINISHED, until_ms), SWEEP_COUNT_MAX):
            if archive is not None:
                row = view.get(TRANSFERS, transfer_id)
                assert row is not None, f"{transfer_id} is in the index and not there"
                assert row.sequence is not None, f"{transfer_id} is finished and was not published"
                if row.sequence > archive.sequence(view.partition):
                    # Those behind it finished later, and are archived later: they can wait for this one.
                    overdue_ms = until_ms - row.changed_at_ms
                    break
            view.delete(TRANSFERS, transfer_id)
        if archive is not None:
            archive.overdue(view.partition, overdue_ms)

    return sweep
