"""The messages of settlement, on topic `settlement`, and the window markers among the credits on topic `credit`.

The order of those that close a window is in agents/settlement/closing.py.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from clearinghub.domain.participants.participant import SettlementModel
from clearinghub.domain.settlement.netting import NettingGroup, PartyNet
from clearinghub.domain.settlement.settlement import Move
from clearinghub.features import FIRST_LEVEL
from clearinghub.messages.codec import Message


class CloseWindowMessage(Message, frozen=True, kw_only=True, tag="close-window"):
    """To every partition: leave `window` for the next one, or report it once more."""

    window: int


class WindowMarkerMessage(Message, frozen=True, kw_only=True, tag="window-marker"):
    """On every partition's `credit`, after the last credit that partition `source` has sent there in `window`.

    `again`: the window was closed once more while it was PROCESSING; for partitions that miss the first marker.
    """

    window: int
    source: int
    again: bool = False


class WindowUsedMessage(Message, frozen=True, kw_only=True, tag="window-used"):
    """To the coordinator: a partition has its first transfer in `window`."""

    window: int


class ReportedNet(msgspec.Struct, frozen=True, array_like=True):
    """A net in a window report, with its netting group."""

    netting_group: NettingGroup
    party_net: PartyNet


class WindowReportMessage(Message, frozen=True, kw_only=True, tag="window-report"):
    """To the coordinator: the nets of `window` on `partition` from the key `after`, exclusive, to the key `to`.

    `is_last` if no more follow. Else the coordinator requests them by a `ReportWindowMessage`.
    """

    window: int
    partition: int
    nets: tuple[ReportedNet, ...]
    is_last: bool
    after: str = ""
    to: str = ""


class ReportWindowMessage(Message, frozen=True, kw_only=True, tag="report-window"):
    """To a partition: the coordinator has its nets of `window` to the key `after`; report the next ones."""

    window: int
    after: str


class PublishWindowMessage(Message, frozen=True, kw_only=True, tag="publish-window"):
    """From the coordinator to itself: publish nets of `window` after the key `after`, and close it with the last."""

    window: int
    after: str


class ForgetWindowMessage(Message, frozen=True, kw_only=True, tag="forget-window"):
    """To every partition: `window` is closed and its nets are stored by the coordinator, so delete yours.

    A partition that has many repeats the message to itself: those up to the key `after` are deleted.
    """

    window: int
    after: str = ""


class MakeSettlementMessage(Message, frozen=True, kw_only=True, tag="make-settlement"):
    """From the coordinator to itself: go on to make `settlement` from where its row says; `place` names that."""

    settlement: int
    place: str


class AbortAccountsMessage(Message, frozen=True, kw_only=True, tag="abort-accounts"):
    """From the coordinator to itself: abort the accounts of `settlement` whose row keys follow `after`."""

    settlement: int
    after: str


class SchemeMessage(Message, frozen=True, kw_only=True, tag="scheme"):
    """To every partition: settlement models and feature level from now on, as of `hub_version` of the hub's row."""

    hub_version: int
    models: tuple[SettlementModel, ...]
    feature_level: int = FIRST_LEVEL


class MoveMessage(Message, frozen=True, kw_only=True, tag="settlement-move"):
    """To an account's partition: make all `moves` at once and confirm them by `number`.

    An account with many is moved in several such steps. With the first one, `raise_cap` may say to raise the net debit
    cap if it would leave no room for `adds_in_all`, what all of them add (protocol 9.4). `is_last`: no more follow.
    """

    settlement: int
    number: int
    participant: str
    account_id: int
    currency: str
    account_type: str
    moves: tuple[Move, ...]
    raise_cap: bool
    adds_in_all: int = 0
    is_last: bool = True


class MovedMessage(Message, frozen=True, kw_only=True, tag="settlement-moved"):
    """To the coordinator: the account has been moved as requested by that number."""

    settlement: int
    number: int
    account_id: int
    currency: str
    moves: tuple[Move, ...]


AnySettlementMessage: TypeAlias = (
    CloseWindowMessage
    | WindowMarkerMessage
    | WindowUsedMessage
    | WindowReportMessage
    | ReportWindowMessage
    | PublishWindowMessage
    | ForgetWindowMessage
    | MakeSettlementMessage
    | AbortAccountsMessage
    | SchemeMessage
    | MoveMessage
    | MovedMessage
)
