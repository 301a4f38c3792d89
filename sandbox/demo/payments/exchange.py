"""A question's way to the DFSP that answers it, and the answer's way back: when each hop was, and its faults."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from sandbox.callback import Direction, Hop, Message

SUBJECTS_KEPT_MAX: Final = 20_000
NANOSECONDS_PER_MS: Final = 1_000_000


class Step(Enum):
    """A part of a payment; the value is its name in the report."""

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
WRITTEN_BY_HUB: Final = "bulkTransfers"  # the hub writes its own messages about bulks (protocol 8)


@dataclass(frozen=True, slots=True)
class Exchange:
    """The four hops of a step, of `time.perf_counter_ns`: sent, forwarded; answered, told."""

    step: Step
    asked_at_ns: int
    forwarded_at_ns: int
    answered_at_ns: int
    told_at_ns: int

    @property
    def there_ms(self) -> float:
        """From the request sent to it forwarded."""
        return (self.forwarded_at_ns - self.asked_at_ns) / NANOSECONDS_PER_MS

    @property
    def back_ms(self) -> float:
        """From the answer sent to the callback."""
        return (self.told_at_ns - self.answered_at_ns) / NANOSECONDS_PER_MS


class HopLog:
    """Every hop that the DFSPs report, by what it is about; what was heard of first goes when there is too much."""

    def __init__(self) -> None:
        self.callbacks = 0
        self._hops: OrderedDict[str, list[Hop]] = OrderedDict()

    def observe(self, hop: Hop) -> None:
        """Keep a hop."""
        self.callbacks += hop.direction is Direction.FROM_HUB and hop.message is not None
        self._hops.setdefault(hop.transfer_id, []).append(hop)
        if len(self._hops) > SUBJECTS_KEPT_MAX:
            self._hops.popitem(last=False)

    def of(self, subject_id: str, since_ns: int = 0) -> list[Hop]:
        """All about something from a time on, in order."""
        return [hop for hop in self._hops.get(subject_id, ()) if hop.at_ns >= since_ns]


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked whom for what: `resource` as in paths, and `hub` by name."""

    resource: str
    asker: str
    answerer: str
    hub: str

    @property
    def step(self) -> Step:
        """The part of the payment that it is."""
        return STEPS[self.resource]


def exchange_of(hops: Iterable[Hop], asked: Asked) -> tuple[Exchange | None, list[str]]:
    """The exchange that these hops are, None if one of them is missing, and what is wrong with it."""
    messages = [(hop, hop.message) for hop in hops if hop.message is not None]
    way = [
        next((pair for pair in messages if _is(pair, asked.resource, dfsp, direction, is_answer)), None)
        for dfsp, direction, is_answer in (
            (asked.asker, Direction.TO_HUB, False),
            (asked.answerer, Direction.FROM_HUB, False),
            (asked.answerer, Direction.TO_HUB, True),
            (asked.asker, Direction.FROM_HUB, True),
        )
    ]
    what = ("not sent", "not forwarded", "not answered", "the answer was not passed on")
    missing = [words for words, pair in zip(what, way, strict=True) if pair is None]
    if missing:
        return None, [f"{asked.step.value}: {missing[0]}"]
    found = [pair for pair in way if pair is not None]
    exchange = Exchange(asked.step, *(hop.at_ns for hop, _ in found))
    return exchange, [f"{asked.step.value}: {fault}" for fault in _faults([message for _, message in found], asked)]


def _is(pair: tuple[Hop, Message], resource: str, dfsp: str, direction: Direction, is_answer: bool) -> bool:  # noqa: FBT001
    hop, message = pair
    return (hop.dfsp, hop.direction, message.resource, message.method == "PUT") == (
        dfsp,
        direction,
        resource,
        is_answer,
    )


def _faults(messages: Sequence[Message], asked: Asked) -> list[str]:
    sent, forwarded, answered, told = messages
    is_hubs = asked.resource == WRITTEN_BY_HUB
    faults = []
    if not is_hubs and forwarded.body != sent.body:
        faults.append("not forwarded byte by byte")
    if not is_hubs and told.body != answered.body:
        faults.append("the answer was not passed on byte by byte")
    if "accept" in told.headers:
        faults.append("the callback has Accept")
    for words, message, source, destination in (
        ("forwarded", forwarded, asked.hub if is_hubs else asked.asker, asked.answerer),
        ("told", told, asked.hub if is_hubs else asked.answerer, asked.asker),
    ):
        seen = message.headers.get("fspiop-source"), message.headers.get("fspiop-destination")
        if seen != (source, destination):
            faults.append(f"{words} from {seen[0]} to {seen[1]}, not from {source} to {destination}")
    return faults
