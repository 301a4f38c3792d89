"""The records of settlement: on topic `settlement`, keyed by whose partition is meant, and the markers on `credit`."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class CloseWindowMessage(TypedDict):
    """To every partition: `window` is to be left for the next one, or told of once more."""

    v: int
    kind: str  # "close-window"
    window: int


class WindowMarkerMessage(TypedDict):
    """On every partition's `credit`, behind the last credit that partition `source` has sent it in `window`.

    `again` where the window was closed once more while it was PROCESSING: for partitions that miss the first.
    """

    v: int
    kind: str  # "window-marker"
    window: int
    source: int
    again: NotRequired[bool]


class WindowUsedMessage(TypedDict):
    """To the coordinator: a partition has its first transfer in `window`."""

    v: int
    kind: str  # "window-used"
    window: int


class WindowReportMessage(TypedDict):
    """To the coordinator: nets of `window` on `partition`; `is_last` when there are no more.

    A net is [currency, account type, granularity, participant, counterparty, participant id, account id, debits,
    credits, count of debits, count of credits].
    """

    v: int
    kind: str  # "window-report"
    window: int
    partition: int
    nets: list[list[Any]]
    is_last: bool


class ForgetWindowMessage(TypedDict):
    """To every partition: the coordinator has all of `window`, and it is closed."""

    v: int
    kind: str  # "forget-window"
    window: int


class SchemeMessage(TypedDict):
    """To every partition: how the scheme settles from now on; `scheme` as tables/scheme.py writes it."""

    v: int
    kind: str  # "scheme"
    scheme: dict[str, Any]


class MoveMessage(TypedDict):
    """To an account's partition: change it, all at once; answered by `number`. A move is [transfer id, change, entry].

    `raise_cap`: the net debit cap is raised where it would leave no room for what is added (protocol 9.4).
    """

    v: int
    kind: str  # "settlement-move"
    settlement: int
    number: int
    participant: str
    account_id: int
    currency: str
    account_type: str
    moves: list[list[Any]]
    raise_cap: bool


class MovedMessage(TypedDict):
    """To the coordinator: the account was changed as asked by that number, by `moves`."""

    v: int
    kind: str  # "settlement-moved"
    settlement: int
    number: int
    account_id: int
    currency: str
    moves: list[list[Any]]
