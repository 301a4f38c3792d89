"""The kinds of transfers that the demo sends, and what must come of each (protocol 3.2-3.8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from sandbox.behaviour import REJECTION_CODE, Behaviour

COMMITTED: Final = "COMMITTED"
ABORTED: Final = "ABORTED"


class Kind(Enum):
    """What a transfer is sent to show; the value is its name in the report."""

    COMMITTED = "committed"
    RESERVED = "reserved, committed"
    REJECTED = "rejected by the payee"
    OVER_CAP = "over the net debit cap"
    OVER_FUNDS = "over the funds"
    TIMED_OUT = "timed out"
    REPEATED = "repeated unchanged"
    CHANGED = "repeated changed, 3106"
    BAD_FULFILMENT = "invalid fulfilment"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must come of a transfer.

    `payer` and `payee` list the callbacks of each side but for the answers to GETs, as `<callback> from <sender>`.
    `again` lists those that the payer gets for sending it a second time, `confirmation` the one that the payee gets for
    its own answer if the hub is configured to send it (protocol 3.6). `state` and `cause` (an errorCode, or empty)
    are what GET tells both sides at the end.
    """

    behaviour: Behaviour
    state: str
    cause: str
    payer: tuple[str, ...]
    payee: tuple[str, ...]
    again: tuple[str, ...] = ()
    confirmation: tuple[str, ...] = ()

    @property
    def is_committed(self) -> bool:
        """True if money moves."""
        return self.state == COMMITTED

    @property
    def answer_to_get(self) -> str:
        """The callback that answers a GET of either side."""
        return f"PUT {self.state} from hub"

    @property
    def ending(self) -> str:
        """The end state for people: `COMMITTED`, `ABORTED (4200)`."""
        return f"{self.state} ({self.cause})" if self.cause else self.state


_COMMIT: Final = ("PUT COMMITTED from payee",)
_SENT: Final = ("POST from payer",)
_CONFIRMED: Final = ("PUT COMMITTED from hub",)

EXPECTED: Final[Mapping[Kind, Expectation]] = {
    Kind.COMMITTED: Expectation(Behaviour.COMMIT, COMMITTED, "", _COMMIT, _SENT, confirmation=_CONFIRMED),
    Kind.RESERVED: Expectation(
        Behaviour.RESERVE,
        COMMITTED,
        "",
        ("PUT COMMITTED from hub",),
        ("POST from payer", "PATCH COMMITTED from hub"),
    ),
    Kind.REJECTED: Expectation(
        Behaviour.REJECT,
        ABORTED,
        REJECTION_CODE,
        (f"ERROR {REJECTION_CODE} from payee",),
        _SENT,
        confirmation=(f"ERROR {REJECTION_CODE} from hub",),
    ),
    Kind.OVER_CAP: Expectation(Behaviour.COMMIT, ABORTED, "4200", ("ERROR 4200 from hub",), ()),
    Kind.OVER_FUNDS: Expectation(Behaviour.COMMIT, ABORTED, "4001", ("ERROR 4001 from hub",), ()),
    Kind.TIMED_OUT: Expectation(
        Behaviour.SILENT, ABORTED, "3303", ("ERROR 3303 from hub",), ("POST from payer", "ERROR 3303 from hub")
    ),
    Kind.REPEATED: Expectation(
        Behaviour.COMMIT, COMMITTED, "", _COMMIT, _SENT, again=("PUT COMMITTED from hub",), confirmation=_CONFIRMED
    ),
    Kind.CHANGED: Expectation(
        Behaviour.COMMIT, COMMITTED, "", _COMMIT, _SENT, again=("ERROR 3106 from hub",), confirmation=_CONFIRMED
    ),
    Kind.BAD_FULFILMENT: Expectation(
        Behaviour.WRONG_FULFILMENT,
        ABORTED,
        "3100",
        ("ERROR 3100 from hub",),
        ("POST from payer", "ERROR 3100 from hub"),
    ),
}
