"""A request of one DFSP to another through the hub, and the answer: the times of its four hops, and their faults."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from sandbox.dfsp.messages import Direction, Hop, Message

SUBJECTS_KEPT_MAX: Final = 20_000
NANOSECONDS_PER_MS: Final = 1_000_000


class Step(Enum):
    """A part of a payment; the value is its heading in the table."""

    LOOKUP = "lookup"
    REQUEST = "request"
    QUOTE = "quote"
    AUTHORIZATION = "OTP"
    TRANSFER = "transfer"


STEPS: Final[Mapping[str, Step]] = {
    "parties": Step.LOOKUP,
    "transactionRequests": Step.REQUEST,
    "quotes": Step.QUOTE,
    "bulkQuotes": Step.QUOTE,
    "authorizations": Step.AUTHORIZATION,
    "transfers": Step.TRANSFER,
    "bulkTransfers": Step.TRANSFER,
}
WRITTEN_BY_HUB: Final = "bulkTransfers"  # of bulks the hub sends messages of its own (protocol 8)


@dataclass(frozen=True, slots=True)
class Exchange:
    """When a request was sent and forwarded, its answer sent and returned; times of `time.perf_counter_ns`."""

    step: Step
    sent_at_ns: int
    forwarded_at_ns: int
    answered_at_ns: int
    returned_at_ns: int

    @property
    def forward_ms(self) -> float:
        """The milliseconds from the requester's request to its arrival at the other DFSP."""
        return (self.forwarded_at_ns - self.sent_at_ns) / NANOSECONDS_PER_MS

    @property
    def return_ms(self) -> float:
        """The milliseconds from the answer sent to its arrival at the requester."""
        return (self.returned_at_ns - self.answered_at_ns) / NANOSECONDS_PER_MS


class HopLog:
    """Keeps every hop of the DFSPs by the id of its transfer, quote or party; the oldest ids are dropped."""

    def __init__(self) -> None:
        self.callbacks = 0
        self._hops: OrderedDict[str, list[Hop]] = OrderedDict()

    def observe(self, hop: Hop) -> None:
        self.callbacks += hop.direction is Direction.FROM_HUB and hop.message is not None
        self._hops.setdefault(hop.transfer_id, []).append(hop)
        if len(self._hops) > SUBJECTS_KEPT_MAX:
            self._hops.popitem(last=False)

    def of(self, subject_id: str, since_ns: int = 0) -> list[Hop]:
        """Return the hops about an id since a time of `time.perf_counter_ns`, in order."""
        return [hop for hop in self._hops.get(subject_id, ()) if hop.at_ns >= since_ns]


@dataclass(frozen=True, slots=True)
class Request:
    """Who sent a request and who answers it; `resource` is as in paths, `hub` is the hub's name."""

    resource: str
    requester: str
    answerer: str
    hub: str

    @property
    def step(self) -> Step:
        """The step of the payment to which the resource belongs."""
        return STEPS[self.resource]


def exchange_of(hops: Iterable[Hop], request: Request) -> tuple[Exchange | None, list[str]]:
    """Return the exchange that these hops are (None if one is missing), and what is wrong with it."""
    messages = [(hop, hop.message) for hop in hops if hop.message is not None]
    path = [
        next((pair for pair in messages if _is(pair, request.resource, dfsp, direction, is_answer)), None)
        for dfsp, direction, is_answer in (
            (request.requester, Direction.TO_HUB, False),
            (request.answerer, Direction.FROM_HUB, False),
            (request.answerer, Direction.TO_HUB, True),
            (request.requester, Direction.FROM_HUB, True),
        )
    ]
    what = ("not sent", "not forwarded", "not answered", "the answer was not forwarded")
    missing = [words for words, pair in zip(what, path, strict=True) if pair is None]
    if missing:
        return None, [f"{request.step.value}: {missing[0]}"]
    found = [pair for pair in path if pair is not None]
    exchange = Exchange(request.step, *(hop.at_ns for hop, _ in found))
    return exchange, [f"{request.step.value}: {fault}" for fault in _faults([message for _, message in found], request)]


def _is(pair: tuple[Hop, Message], resource: str, dfsp: str, direction: Direction, is_answer: bool) -> bool:  # noqa: FBT001
    hop, message = pair
    return (hop.dfsp, hop.direction, message.resource, message.method == "PUT") == (
        dfsp,
        direction,
        resource,
        is_answer,
    )


def _faults(messages: Sequence[Message], request: Request) -> list[str]:
    sent, forwarded, answered, returned = messages
    is_hubs = request.resource == WRITTEN_BY_HUB
    faults = []
    if not is_hubs and forwarded.body != sent.body:
        faults.append("not forwarded byte by byte")
    if not is_hubs and returned.body != answered.body:
        faults.append("the answer was not forwarded byte by byte")
    if "accept" in returned.headers:
        faults.append("the callback has Accept")
    for words, message, source, destination in (
        ("request", forwarded, request.hub if is_hubs else request.requester, request.answerer),
        ("answer", returned, request.hub if is_hubs else request.answerer, request.requester),
    ):
        seen = message.headers.get("fspiop-source"), message.headers.get("fspiop-destination")
        if seen != (source, destination):
            faults.append(f"{words} from {seen[0]} to {seen[1]}, not from {source} to {destination}")
    return faults
