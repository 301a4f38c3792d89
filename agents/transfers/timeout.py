"""Find transfers and bulks that are due, write a reminder of each, and expire the transfer (protocol 3.8).

A reminder is a record on topic `timeout`. The punctuator runs by the worker's clock, as far as it knows how far that is
from the broker's, and only writes reminders. Their handler decides, by the time that the broker wrote into the record,
on the partition where fulfils are decided too: a transfer is committed or expired, never both. A bulk is due as a
whole; its reminder goes to topic `bulk-fulfil`, where bulks are decided (agents/bulk/fulfil.py).
"""

from __future__ import annotations

from typing import Any, Final

import structlog

from agents.notify import TransferNotifier
from agents.posting import release_payer, store_transfer
from agents.reminders import Reminders
from agents.turn import Turn
from clearinghub.domain.transfers.timeout import Expired, decide_timeout
from clearinghub.engine.record import Punctuator, PunctuatorView, TableSpec
from clearinghub.messages import encode
from clearinghub.messages.bulk import BulkTimeoutMessage
from clearinghub.messages.transfers import TimeoutMessage
from tables.bulks import BULKS
from tables.transfers import DUE, TRANSFERS, at

log = structlog.get_logger(__name__)

# Reminders that wait to be decided, on a partition: a run, once a second, adds what was decided since. So many cost the
# run 4 ms and 330 kB.
DUE_AT_ONCE: Final = 4_000


def on_timeout(turn: Turn, message: TimeoutMessage, _body: bytes) -> None:
    """Expire a transfer that is due and still open, and notify those who know of it."""
    turn.context.reminders.decided("timeout", turn.view.partition, message.id)
    outcome = apply_timeout(turn, message.id)
    if outcome is None:
        return
    transfer = outcome.transfer
    log.debug("transfer-expired", transfer=transfer.transfer_id, was_reserved=outcome.was_reserved)
    assert transfer.error is not None
    notifier = TransferNotifier(turn._replace(trace=transfer.trace), transfer.transfer_id)
    notifier.error(transfer.payer, transfer.error)
    if outcome.was_reserved:
        notifier.error(transfer.payee, transfer.error)


def apply_timeout(turn: Turn, transfer_id: str) -> Expired | None:
    """Expire a transfer and release what it reserved; return None if it is not due or no longer open.

    Notifies no DFSP.
    """
    outcome = decide_timeout(turn.view.get(TRANSFERS, transfer_id), turn.now_ms)
    if not isinstance(outcome, Expired):
        return None
    store_transfer(turn.view, outcome.transfer)
    if outcome.was_reserved:
        release_payer(turn, outcome.transfer)
    return outcome


def make_due_punctuator(reminders: Reminders) -> Punctuator:
    """Return the punctuator that writes a TimeoutMessage for each transfer that is due."""
    return _make_reminder(reminders, TRANSFERS, "timeout", TimeoutMessage)


def make_bulk_due_punctuator(reminders: Reminders) -> Punctuator:
    """Return the punctuator that writes a BulkTimeoutMessage for each bulk that is due."""
    return _make_reminder(reminders, BULKS, "bulk-fulfil", BulkTimeoutMessage)


def _make_reminder(
    reminders: Reminders, table: TableSpec[Any], topic: str, message_type: type[TimeoutMessage | BulkTimeoutMessage]
) -> Punctuator:
    def punctuate(view: PunctuatorView, now_ms: int) -> None:
        due = view.scan(table, DUE, at(DUE, now_ms), DUE_AT_ONCE)
        for key in reminders.to_write(topic, view.partition, due, now_ms):
            view.emit_to_partition(topic, view.partition, key, encode(message_type(id=key)))

    return punctuate
