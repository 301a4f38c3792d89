"""A second payer's use of an id is seen: every partition tells the id's home who has used it there (ADR 31).

An id is checked at once on the payer's own partition, by the row of the transfer or bulk. Another partition may have
a row of the same id, and to ask it would cost every transfer a wait. So a punctuator reports the ids that are new, many
in one message, to their home partitions, and the home raises an alarm if it knows another payer. Money is safe without:
each transfer is decided with its own payer's row, and answers find theirs (`is_passed_on`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import orjson
import structlog

from agents.turn import Turn
from clearinghub.domain.time import timestamp_text
from clearinghub.domain.transfers.claim import Claim
from clearinghub.domain.transfers.transfer import TRANSFER_KIND, Transfer
from clearinghub.engine.record import Punctuator, PunctuatorView
from clearinghub.messages import VERSION, encode
from clearinghub.messages.transfers import ClaimedId, ClaimsMessage
from tables.claims import CLAIMS, UNTIL, claim_key, home_of, until
from tables.counters import COUNTERS, REPORTED
from tables.transfers import NUMBERED, TRANSFERS, numbered

ALARM: Final = "id-used-twice"
ROWS_AT_ONCE: Final = 1_000  # new transfers of one run, which come to a few of their messages
CLAIMS_AT_ONCE: Final = 1_000  # that are removed in one run

log = structlog.get_logger(__name__)


def on_claims(turn: Turn, message: ClaimsMessage, _body: bytes) -> None:
    """Note who has used these ids; raise an alarm for each that another payer has used before."""
    view = turn.view
    for one in message.claimed:
        key = claim_key(one.space, one.id)
        known = view.get(CLAIMS, key)
        if known is None:
            view.put(CLAIMS, key, Claim(one.payer, one.until_ms, one.kind))
        elif known.payer != one.payer:
            _raise_alarm(turn, one, known)


def _raise_alarm(turn: Turn, second: ClaimedId, first: Claim) -> None:
    """Raise an alarm of an id that two payers have used. The event stays on this partition, whoever the payers are."""
    event = {
        "v": VERSION,
        "event": ALARM,
        "participant": second.payer,
        "kind": second.kind,
        "id": second.id,
        "usedBefore": {"participant": first.payer, "kind": first.kind},
        "at": timestamp_text(turn.now_ms),
    }
    turn.view.emit_to_partition("events", turn.view.partition, second.payer, orjson.dumps(event))
    turn.context.count_alarm(ALARM)
    log.warning("id-used-twice", id=second.id, kind=second.kind, participant=second.payer, before=first.payer)


def make_claims_punctuator(retention_ms: int) -> Punctuator:
    """Return the punctuator that reports the ids of new transfers and bulks, and removes old claims of other ids.

    A claim ends as the row of its transfer does, `retention_ms` after its expiration.
    """

    def punctuate(view: PunctuatorView, now_ms: int) -> None:
        for key in view.scan(CLAIMS, UNTIL, until(now_ms), CLAIMS_AT_ONCE):
            view.delete(CLAIMS, key)
        _report(view, retention_ms)

    return punctuate


def _report(view: PunctuatorView, retention_ms: int) -> None:
    """Send the ids that were used since the last report to their homes. What is reported is a part of the round."""
    reported = view.get(COUNTERS, REPORTED) or 0
    by_home: defaultdict[int, list[ClaimedId]] = defaultdict(list)
    bulks: set[str] = set()
    last = reported
    for transfer_id in view.scan(TRANSFERS, numbered(reported + 1), NUMBERED + b"~", ROWS_AT_ONCE):
        transfer = view.get(TRANSFERS, transfer_id)
        assert transfer is not None, f"{transfer_id} is in the index but not in the table"
        assert transfer.number is not None
        last = transfer.number
        for one in _claimed(transfer, bulks, retention_ms):
            by_home[home_of(one.id, view.partitions)].append(one)
    if last == reported:
        return
    view.put(COUNTERS, REPORTED, last)
    for home, claimed in by_home.items():
        message = ClaimsMessage(claimed=tuple(claimed))
        view.emit_to_partition("lookup", home, claimed[0].id, encode(message))


def _claimed(transfer: Transfer, bulks: set[str], retention_ms: int) -> Iterator[ClaimedId]:
    """Yield the transfer's id, and that of its bulk unless it is one of `bulks`, to which it is added."""
    until_ms = transfer.expires_at_ms + retention_ms if transfer.kind == TRANSFER_KIND else None
    yield ClaimedId(transfer.transfer_id, "transfer", transfer.payer, until_ms, transfer.kind)
    if transfer.bulk_id is not None and transfer.bulk_id not in bulks:
        bulks.add(transfer.bulk_id)
        yield ClaimedId(transfer.bulk_id, "bulk", transfer.payer, until_ms, "bulk")
