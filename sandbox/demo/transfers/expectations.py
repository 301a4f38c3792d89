"""The kinds of transfers that the demo sends, and the outcome that each must have (protocol 3.2-3.8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from sandbox.dfsp.behaviour import REJECTION_CODE, Behaviour
from sandbox.dfsp.messages import Callback

COMMITTED: Final = "COMMITTED"
ABORTED: Final = "ABORTED"


class TransferKind(Enum):
    """The outcome for which a transfer is sent; the value is its name in the report."""

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
class TransferCase:
    """A transfer that is to be sent; the amount is in 1/10,000."""

    kind: TransferKind
    payer: str
    payee: str
    amount_units: int


@dataclass(frozen=True, slots=True)
class Expectation:
    """The callbacks and the end state that a transfer must have.

    `payer` and `payee` list the callbacks to each side except the answers to GETs, as `<callback> from <sender>`.
    `again` lists the callbacks to a payer that sends the transfer a second time, `confirmation` the one that the payee
    receives for its own answer if the hub is set to send it (protocol 3.6). `state` and `cause` (an errorCode, or
    empty) are in the answers to both sides' GETs at the end.
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
        return self.state == COMMITTED

    @property
    def answer_to_get(self) -> str:
        """The callback that answers a GET by either side."""
        return f"PUT {self.state} from hub"

    @property
    def ending(self) -> str:
        """The end state and its cause for people: `COMMITTED`, `ABORTED (4200)`."""
        return f"{self.state} ({self.cause})" if self.cause else self.state


_COMMIT: Final = ("PUT COMMITTED from payee",)
_SENT: Final = ("POST from payer",)
_CONFIRMED: Final = ("PUT COMMITTED from hub",)

EXPECTED: Final[Mapping[TransferKind, Expectation]] = {
    TransferKind.COMMITTED: Expectation(Behaviour.COMMIT, COMMITTED, "", _COMMIT, _SENT, confirmation=_CONFIRMED),
    TransferKind.RESERVED: Expectation(
        Behaviour.RESERVE,
        COMMITTED,
        "",
        ("PUT COMMITTED from hub",),
        ("POST from payer", "PATCH COMMITTED from hub"),
    ),
    TransferKind.REJECTED: Expectation(
        Behaviour.REJECT,
        ABORTED,
        REJECTION_CODE,
        (f"ERROR {REJECTION_CODE} from payee",),
        _SENT,
        confirmation=(f"ERROR {REJECTION_CODE} from hub",),
    ),
    TransferKind.OVER_CAP: Expectation(Behaviour.COMMIT, ABORTED, "4200", ("ERROR 4200 from hub",), ()),
    TransferKind.OVER_FUNDS: Expectation(Behaviour.COMMIT, ABORTED, "4001", ("ERROR 4001 from hub",), ()),
    TransferKind.TIMED_OUT: Expectation(
        Behaviour.SILENT, ABORTED, "3303", ("ERROR 3303 from hub",), ("POST from payer", "ERROR 3303 from hub")
    ),
    TransferKind.REPEATED: Expectation(
        Behaviour.COMMIT, COMMITTED, "", _COMMIT, _SENT, again=("PUT COMMITTED from hub",), confirmation=_CONFIRMED
    ),
    TransferKind.CHANGED: Expectation(
        Behaviour.COMMIT, COMMITTED, "", _COMMIT, _SENT, again=("ERROR 3106 from hub",), confirmation=_CONFIRMED
    ),
    TransferKind.BAD_FULFILMENT: Expectation(
        Behaviour.WRONG_FULFILMENT,
        ABORTED,
        "3100",
        ("ERROR 3100 from hub",),
        ("POST from payer", "ERROR 3100 from hub"),
    ),
}


@dataclass(frozen=True, slots=True)
class CallbackLabels:
    """Describes callbacks as expectations do: `<callback> from <sender>`, like `PUT COMMITTED from payee`.

    The sender "hub" is recognised by `hub_name`; a hub that `confirms_to_payee` sends one callback more.
    """

    hub_name: str
    confirms_to_payee: bool

    def of(self, callback: Callback, case: TransferCase) -> str:
        """Return the label of a callback about a case; a sender that is no part of it appears by its name."""
        roles = {case.payer: "payer", case.payee: "payee", self.hub_name: "hub"}
        return f"{callback.label} from {roles.get(callback.source, callback.source or 'nobody')}"

    def expected_by_payer(self, case: TransferCase) -> Counter[str]:
        """Return the callbacks that the payer must have received before any GET."""
        expected = EXPECTED[case.kind]
        return Counter(expected.payer + expected.again)

    def expected_by_payee(self, case: TransferCase) -> Counter[str]:
        """Return the callbacks that the payee must have received before any GET."""
        expected = EXPECTED[case.kind]
        return Counter(expected.payee + (expected.confirmation if self.confirms_to_payee else ()))
