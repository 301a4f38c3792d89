"""Messages between partitions on another number of partitions: each goes where its receiver is now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from clearinghub.copies import CopyError
from clearinghub.copies.in_flight import MessageInFlight, decode_copied
from clearinghub.copies.regroup.rows import Places
from clearinghub.messages import encode, encode_changed
from clearinghub.messages.bulk import BulkFulfilMessage, BulkGetMessage, BulkTimeoutMessage
from clearinghub.messages.parties import PartyPartDoneMessage, PartyPartMessage
from clearinghub.messages.settlement import (
    AbortAccountsMessage,
    CloseWindowMessage,
    ForgetWindowMessage,
    MakeSettlementMessage,
    MovedMessage,
    MoveMessage,
    PublishWindowMessage,
    ReportWindowMessage,
    SchemeMessage,
    WindowMarkerMessage,
    WindowReportMessage,
    WindowUsedMessage,
)
from clearinghub.messages.transfers import (
    ClaimedId,
    ClaimsMessage,
    CreditMessage,
    FulfilMessage,
    GetMessage,
    TimeoutMessage,
)
from tables.claims import home_of

# The closing of a window begins anew on the new partitions, and nets of closed windows are not restored.
_MADE_ANEW: Final = (
    CloseWindowMessage,
    ForgetWindowMessage,
    PublishWindowMessage,
    ReportWindowMessage,
    WindowMarkerMessage,
    WindowReportMessage,
)
# The punctuator writes another reminder as soon as a partition works.
REMINDERS: Final = (TimeoutMessage, BulkTimeoutMessage)
_PARTS_OF_BATCHES: Final = (PartyPartMessage, PartyPartDoneMessage)


_TO_PARTICIPANT: Final = (CreditMessage, MoveMessage)
_TO_COORDINATOR: Final = (WindowUsedMessage, MovedMessage, MakeSettlementMessage, AbortAccountsMessage)
_TO_ALL: Final = (SchemeMessage,)
_ON_THE_RING: Final = (FulfilMessage, GetMessage, BulkFulfilMessage, BulkGetMessage)
_FOUND_SO_FAR: Final = ("same_payee_at", "same_id_at")  # numbers of old partitions
ROUTED: Final = frozenset(
    (
        *_MADE_ANEW,
        *REMINDERS,
        *_PARTS_OF_BATCHES,
        *_TO_PARTICIPANT,
        *_TO_COORDINATOR,
        *_TO_ALL,
        *_ON_THE_RING,
        ClaimsMessage,
    )
)
"""All messages that can be between partitions."""


class RestoredMessage(NamedTuple):
    """A record to write to an input topic of a new partition."""

    partition: int
    topic: str
    key: bytes
    value: bytes


def regrouped(messages: Iterable[MessageInFlight], places: Places, hub_name: str) -> Iterator[RestoredMessage]:
    """Yield the messages with their new receivers, in their order; one to all partitions goes to all once.

    Raises:
        CopyError: a message is of a kind for which there is no rule.
    """
    announced: set[bytes] = set()
    for one in messages:
        message, _body = decode_copied(one.value)
        if isinstance(message, _TO_PARTICIPANT):
            yield _to(one, places.of_name(message.participant))
        elif isinstance(message, _TO_COORDINATOR):
            yield _to(one, places.of_name(hub_name))
        elif isinstance(message, _TO_ALL):
            if one.value not in announced:
                announced.add(one.value)
                yield from (_to(one, partition) for partition in range(places.partitions))
        elif isinstance(message, _ON_THE_RING):
            found = {name: None for name in _FOUND_SO_FAR if hasattr(message, name)}
            restarted = encode_changed(one.value, hops=0, **found)
            yield RestoredMessage(places.of_name(one.key.decode()), one.topic, one.key, restarted)
        elif isinstance(message, ClaimsMessage):
            yield from _by_home(one, message, places)
        elif type(message) not in ROUTED:
            raise CopyError(
                f"a {type(message).__name__} is on its way to partition {one.receiver}: it can be restored to the same "
                "number of partitions only"
            )


def _by_home(one: MessageInFlight, message: ClaimsMessage, places: Places) -> Iterator[RestoredMessage]:
    """Yield the ids of a message, in one message for each home that some of them have now."""
    by_home: defaultdict[int, list[ClaimedId]] = defaultdict(list)
    for claimed in message.claimed:
        by_home[home_of(claimed.id, places.partitions)].append(claimed)
    for home, ids in by_home.items():
        yield RestoredMessage(home, one.topic, ids[0].id.encode(), encode(ClaimsMessage(claimed=tuple(ids))))


def close_again(windows: Iterable[int], places: Places) -> Iterator[RestoredMessage]:
    """Yield the orders to close windows, one for every new partition; they are to come after all credits."""
    for window in windows:
        value = encode(CloseWindowMessage(window=window))
        for partition in range(places.partitions):
            yield RestoredMessage(partition, "settlement", b"", value)


def _to(one: MessageInFlight, partition: int) -> RestoredMessage:
    return RestoredMessage(partition, one.topic, one.key, one.value)
