"""Find transfers that are due, write them to topic `timeout`, and unwind them there (protocol 3.8).

The punctuator runs by the worker's clock and only reminds. The agent decides, by the reminder's own time, on the
partition where fulfils are decided too: commit or timeout, never both. A bulk is due as a whole; its reminder goes to
its own topic (agents/bulk/fulfil.py).
"""

from __future__ import annotations

from typing import Any, Final

import structlog

from agents.notify import TransferNotifier
from agents.transfers.apply_transfer import apply_timeout
from agents.turn import Turn
from clearinghub.domain.transfers.transfer import Transfer
from clearinghub.engine.record import Punctuator, PunctuatorView, TableSpec, View
from clearinghub.kafka.ports import Archive
from clearinghub.messages import VERSION, TimeoutMessage, encode
from clearinghub.messages.bulk import BulkTimeoutMessage
from tables.bulks import BULKS
from tables.transfers import DUE, FINISHED, TRANSFERS, at

log = structlog.get_logger(__name__)

PUNCTUATE_COUNT_MAX: Final = 1_000
REMIND_AGAIN_AFTER_MS: Final = 30_000
LINES_DROPPED_MAX: Final = 4_000  # of bulks, by one punctuator; a bulk leaves as a whole, so the first may have more


def on_timeout(turn: Turn, message: TimeoutMessage, _body: bytes) -> None:
    """Expire a transfer that is due and still open, and notify those who know of it."""
    outcome = apply_timeout(turn.view, message.id, turn.now_ms)
    if outcome is None:
        return
    transfer = outcome.transfer
    log.debug("transfer-expired", transfer=transfer.transfer_id, was_reserved=outcome.was_reserved)
    assert transfer.error is not None
    notifier = TransferNotifier(turn.record, turn.view, transfer.transfer_id, turn.trace, turn.hub_name)
    notifier.error(transfer.payer, transfer.error)
    if outcome.was_reserved:
        notifier.error(transfer.payee, transfer.error)


def make_due_punctuator(table: TableSpec[Any] = TRANSFERS, topic: str = "timeout", kind: str = "timeout") -> Punctuator:
    """Remind of each due row, and again only after a while: the reminder may still be on its way."""
    reminded: dict[int, dict[str, int]] = {}

    def punctuate(view: PunctuatorView, now_ms: int) -> None:
        due = view.scan(table, DUE, at(DUE, now_ms), PUNCTUATE_COUNT_MAX)
        before = reminded.get(view.partition, {})
        now = reminded[view.partition] = {}
        for key in due:
            last_ms = before.get(key)
            # A reminder from the future came of a clock that was ahead, and was in vain.
            if last_ms is not None and 0 <= now_ms - last_ms < REMIND_AGAIN_AFTER_MS:
                now[key] = last_ms
                continue
            now[key] = now_ms
            bulk: BulkTimeoutMessage = {"v": VERSION, "kind": kind, "id": key}
            message = TimeoutMessage(id=key) if kind == "timeout" else bulk
            view.emit_to_partition(topic, view.partition, key, encode(message))

    return punctuate


def make_retention_punctuator(retention_ms: int, archive: Archive | None = None) -> Punctuator:
    """Finished transfers answer duplicates and GETs for a time, then leave the table; their topic keeps them.

    With an archive they stay until it has them, however long that takes: the topic may drop them before (ADR 20).
    """

    def punctuate(view: PunctuatorView, now_ms: int) -> None:
        until_ms, overdue_ms = now_ms - retention_ms, 0
        for transfer_id in view.scan(TRANSFERS, FINISHED, at(FINISHED, until_ms), PUNCTUATE_COUNT_MAX):
            if archive is not None:
                row = view.get(TRANSFERS, transfer_id)
                assert row is not None, f"{transfer_id} is in the index and not there"
                if not _is_archived(archive, view, row):
                    # Those behind it finished later, and are archived later: they can wait for this one.
                    overdue_ms = until_ms - row.changed_at_ms
                    break
            view.delete(TRANSFERS, transfer_id)
        if archive is not None:
            archive.overdue(view.partition, TRANSFERS.name, overdue_ms)

    return punctuate


def _is_archived(archive: Archive, view: View, row: Transfer) -> bool:
    """Whether a finished transfer is; one from before there were numbers never will be, and does not count."""
    return row.sequence is None or row.sequence <= archive.sequence(view.partition)


def make_bulk_retention_punctuator(retention_ms: int, archive: Archive | None = None) -> Punctuator:
    """A bulk leaves the table together with its lines, all of them archived: while it is there, all of it is."""

    def punctuate(view: PunctuatorView, now_ms: int) -> None:
        until_ms, overdue_ms, dropped = now_ms - retention_ms, 0, 0
        for bulk_id in view.scan(BULKS, FINISHED, at(FINISHED, until_ms), PUNCTUATE_COUNT_MAX):
            bulk = view.get(BULKS, bulk_id)
            assert bulk is not None
            if dropped and dropped + len(bulk.transfer_ids) > LINES_DROPPED_MAX:
                break
            rows = [view.get(TRANSFERS, transfer_id) for transfer_id in bulk.transfer_ids]
            lines = [row for row in rows if row is not None and row.bulk_id == bulk_id]
            if archive is not None and not all(_is_archived(archive, view, line) for line in lines):
                assert bulk.finished_at_ms is not None
                overdue_ms = until_ms - bulk.finished_at_ms
                break
            for line in lines:
                view.delete(TRANSFERS, line.transfer_id)
            view.delete(BULKS, bulk_id)
            dropped += len(bulk.transfer_ids)
        if archive is not None:
            archive.overdue(view.partition, BULKS.name, overdue_ms)

    return punctuate
