"""The bodies, queries and path segments of the settlement API (protocol 9.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiohttp.web import Request

from clearinghub.domain.currencies import currencies_with
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.settlement.settlement import SettlementState
from clearinghub.domain.settlement.window import WindowState
from web.admin.schema import Check, Key, Keys, Place, list_of, one_of, text
from web.http.errors import ApiError

ACCOUNTS_MAX: Final = 2_000  # of one request
WINDOWS_MAX: Final = 1_000
_REASON_LENGTH_MAX: Final = 512
_REFERENCE_LENGTH_MAX: Final = 50

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,11}")
_NO_SUCH_DAY: Final = Rejection(ErrorCode.VALIDATION_ERROR, "There is no such day")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _whole(value: object, place: Place) -> int:
    written = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if _NUMBER.fullmatch(written) is None:
        raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, f'"{place.label}" must be a positive number'))
    return int(written)


number: Final = Check(
    _whole,
    {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 999_999_999_999},
            {"type": "string", "pattern": f"^{_NUMBER.pattern}$"},
        ]
    },
)
"""The number of a window, a settlement, a participant or an account, or its text."""

in_query: Final = Check(_whole, {"type": "string", "pattern": f"^{_NUMBER.pattern}$"})
"""The same in a query, where all is text."""

_MOMENT: Final = text(
    pattern=(
        r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
        r"(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,3})?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])?)?"
    )
)


def _milliseconds(value: object, place: Place) -> int:
    written = _MOMENT(value, place)
    try:
        moment = datetime.fromisoformat(written)
        zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return (zoned - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError) as error:
        raise ApiError(_NO_SUCH_DAY) from error


moment_in_query: Final = Check(_milliseconds, _MOMENT.takes)
"""A day or a time, without a zone in UTC; as milliseconds since 1970."""


def _unique(items: Check) -> Check:
    """A list in which no two have the same id, however it is written."""

    def check(value: object, place: Place) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = items(value, place)
        seen: set[int] = set()
        for index, item in enumerate(found):
            if item["id"] in seen:
                fault = f'"{place.label}[{index}]" contains a duplicate value'
                raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, fault))
            seen.add(item["id"])
        return found

    return Check(check, {**items.takes, "uniqueItems": True})


_REASON: Final = text(length_max=_REASON_LENGTH_MAX)
_REFERENCE: Final = Key(text(length_max=_REFERENCE_LENGTH_MAX), required=False)

CLOSE_WINDOW: Final[Keys] = {"state": Key(one_of([WindowState.CLOSED.value])), "reason": Key(_REASON)}
CREATE_SETTLEMENT: Final[Keys] = {
    "settlementModel": Key(text(length_max=30)),
    "reason": Key(_REASON),
    "settlementWindows": Key(_unique(list_of({"id": Key(number)}, WINDOWS_MAX))),
}
_STATES: Final = [state.value for state in SettlementState if state is not SettlementState.SETTLING]
ACCOUNT: Final[Keys] = {
    "state": Key(one_of(_STATES)),
    "reason": Key(_REASON),
    "externalReference": _REFERENCE,
}
PARTICIPANT: Final[Keys] = {"accounts": Key(list_of({"id": Key(number), **ACCOUNT}, ACCOUNTS_MAX))}
_PARTICIPANTS: Final = list_of({"id": Key(number), **PARTICIPANT}, ACCOUNTS_MAX)
SETTLEMENT: Final[Keys] = {
    "participants": Key(_PARTICIPANTS, required=False),
    "state": Key(text(length_max=30), required=False),
    "reason": Key(_REASON, required=False),
    "externalReference": _REFERENCE,
}
# Which of these go together is told by sentences of its own (protocol 9.5): the one or the other of
SETTLEMENT_ALTERNATIVES: Final[tuple[Keys, Keys]] = (
    {"participants": Key(_PARTICIPANTS)},
    {"state": Key(one_of([SettlementState.ABORTED.value])), "reason": Key(_REASON), "externalReference": _REFERENCE},
)


class Queries:
    """The queries, of which some name a currency; which ones there are is the scheme's."""

    def __init__(self, currencies_extra: tuple[str, ...]) -> None:
        known = currencies_with(currencies_extra)
        currency = Key(one_of(sorted(known), known), required=False)
        identifier, moment = Key(in_query, required=False), Key(moment_in_query, required=False)
        self.windows: Keys = {
            "participantId": identifier,
            "state": Key(one_of([state.value for state in WindowState]), required=False),
            "fromDateTime": moment,
            "toDateTime": moment,
            "currency": currency,
        }
        self.settlements: Keys = {
            "currency": currency,
            "participantId": identifier,
            "settlementWindowId": identifier,
            "accountId": identifier,
            "state": Key(one_of([state.value for state in SettlementState]), required=False),
            "fromDateTime": moment,
            "toDateTime": moment,
            "fromSettlementWindowDateTime": moment,
            "toSettlementWindowDateTime": moment,
        }


def refuse_unknown(request: Request, keys: Mapping[str, Any]) -> None:
    """A parameter that is not known is 3101 on this surface; whoever misspells a filter would be shown too much."""
    for name in request.query:
        if name not in keys:
            raise ApiError(Rejection(ErrorCode.MALFORMED_SYNTAX, f'"{name[:64]}" is not allowed'))


def number_in_path(request: Request, name: str) -> int:
    """A number in the path."""
    written = request.match_info[name]
    if _NUMBER.fullmatch(written) is None:
        raise ApiError(Rejection(ErrorCode.MALFORMED_SYNTAX, f"'{name}' URI path parameter"))
    return int(written)
