"""Oracles: which one knows a party, and what its answer means (protocol 6.1, 6.2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from enum import Enum
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection, is_defined_error_code
from clearinghub.domain.participants.participant import Oracle, OracleDefinition, OracleFields, Participant
from clearinghub.domain.parties.party import Entries, PartyEntry, PartyId

ORACLES_MAX: Final = 500
LIST_MAX: Final = 1_000  # FSPs of one party that an oracle may name; more are cut off

_EXISTS: Final = Rejection(
    ErrorCode.INTERNAL_SERVER_ERROR,
    "Active oracle with matching partyIdTypeId, endpointTypeId, currencyId already exists",
)
_NOT_FOUND: Final = Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, "Oracle not found")
_TOO_MANY: Final = Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, "The hub has too many oracles")
NO_ANSWER: Final = Rejection(ErrorCode.DESTINATION_COMMUNICATION_ERROR, "The oracle did not answer")
_NO_LIST: Final = Rejection(ErrorCode.DESTINATION_COMMUNICATION_ERROR, "The oracle's answer cannot be read")
_NOT_ADDED: Final = Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, "The oracle refused")
_NOT_DELETED: Final = Rejection(ErrorCode.DELETE_PARTY_INFO_ERROR, "The oracle refused")


class BuiltIn(Enum):
    """The hub's own oracle, which needs no registration."""

    ORACLE = "built-in"


def select_oracle(
    oracles: Iterable[Oracle], id_type: str, currency: str | None, built_in_types: Collection[str]
) -> Oracle | BuiltIn | Rejection:
    """Who is asked: a registered oracle of the type, or the built-in one where none is registered.

    Of several the default one, else the one with the smallest id. One without a currency stands in where none is of the
    currency asked for.
    """
    of_type = [one for one in oracles if one.id_type == id_type]
    if not of_type and id_type in built_in_types:
        return BuiltIn.ORACLE
    fitting = [one for one in of_type if currency in (None, one.currency)] or [
        one for one in of_type if one.currency is None
    ]
    if not fitting:
        of_currency = "" if currency is None else f", currency: {currency}"
        return Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, f"Oracle type: {id_type} not found{of_currency}")
    return min(fitting, key=lambda one: (not one.is_default, one.oracle_id))


def add_oracle(hub: Participant, defined: OracleDefinition, next_id: Callable[[], int]) -> Participant | Rejection:
    """Return the hub with one more oracle; an id is never given twice."""
    if len(hub.oracles) >= ORACLES_MAX:
        return _TOO_MANY
    oracle = Oracle(
        next_id(), defined.id_type, defined.url, defined.endpoint_type, defined.currency, defined.is_default
    )
    return _with(hub, (*hub.oracles, oracle), oracle)


def change_oracle(hub: Participant, oracle_id: int, change: OracleFields) -> Participant | Rejection:
    """Return the hub with one oracle changed."""
    found = _find(hub, oracle_id)
    if found is None:
        return _NOT_FOUND
    given = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
    oracle = replace(found, **given)
    return _with(hub, tuple(oracle if one is found else one for one in hub.oracles), oracle)


def remove_oracle(hub: Participant, oracle_id: int) -> Participant | Rejection:
    """Return the hub without one of its oracles."""
    found = _find(hub, oracle_id)
    return _NOT_FOUND if found is None else _changed(hub, tuple(one for one in hub.oracles if one is not found))


def read_lookup(status: int | None, body: bytes) -> Entries | ErrorInformation:
    """What a lookup's answer says: the FSPs named, none for a party that the oracle does not know, or what went wrong.

    Args:
        status: the answer's HTTP status; None when there was no answer.
        body: what came with it.
    """
    if status is None or status >= 500:  # noqa: PLR2004 - HTTP's own numbers, here and below
        return ErrorInformation.of(NO_ANSWER)
    if status in (400, 404):
        return ()
    parsed = _parse(body)
    if not 200 <= status < 300:  # noqa: PLR2004
        return _told(parsed) or ErrorInformation.of(Rejection(ErrorCode.CLIENT_ERROR))
    listed = parsed.get("partyList")
    if not isinstance(listed, list):
        return ErrorInformation.of(_NO_LIST)
    entries = tuple(_entry(one) for one in listed[:LIST_MAX])
    if None in entries:
        return ErrorInformation.of(_NO_LIST)
    return tuple(one for one in entries if one is not None)


def read_change(method: str, status: int | None, body: bytes) -> ErrorInformation | None:
    """What came of a registration, an update or a removal: None when it is done, or what went wrong.

    POST is done with 201, and with nothing else; PUT and DELETE with any 2xx.
    """
    if status is None or status >= 500:  # noqa: PLR2004
        return ErrorInformation.of(NO_ANSWER)
    if status == 201 or (method != "POST" and 200 <= status < 300):  # noqa: PLR2004
        return None
    refused = ErrorInformation.of(_NOT_DELETED if method == "DELETE" else _NOT_ADDED)
    told = _told(_parse(body))
    return told if told is not None and told.code == refused.code else refused


def read_batch(status: int | None, body: bytes) -> dict[PartyId, ErrorInformation | None] | ErrorInformation:
    """What came of each party of a batch, None for done; or, for the batch as a whole, what went wrong."""
    fault = read_change("POST", status, body)
    if fault is not None:
        return fault
    listed = _parse(body).get("partyList")
    results: dict[PartyId, ErrorInformation | None] = {}
    for one in listed if isinstance(listed, list) else ():
        party = _party(one)
        if party is not None:
            information = one.get("errorInformation")
            results[party] = None if information is None else _told(one) or ErrorInformation.of(_NOT_ADDED)
    return results


def batch_result(
    results: dict[PartyId, ErrorInformation | None] | ErrorInformation, party: PartyId
) -> ErrorInformation | None:
    """Of a batch's results the one of a party; what the oracle does not name is not registered."""
    if isinstance(results, ErrorInformation):
        return results
    return results.get(party, ErrorInformation.of(_NOT_ADDED))


def _find(hub: Participant, oracle_id: int) -> Oracle | None:
    return next((one for one in hub.oracles if one.oracle_id == oracle_id), None)


def _with(hub: Participant, oracles: tuple[Oracle, ...], new: Oracle) -> Participant | Rejection:
    if any(one.oracle_id != new.oracle_id and _same_place(one, new) for one in oracles):
        return _EXISTS
    return _changed(hub, oracles)


def _changed(hub: Participant, oracles: tuple[Oracle, ...]) -> Participant:
    return replace(hub, oracles=oracles, version=hub.version + 1)


def _same_place(one: Oracle, other: Oracle) -> bool:
    return (one.id_type, one.endpoint_type, one.currency) == (other.id_type, other.endpoint_type, other.currency)


def _parse(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body.decode())
        if b"\\u" in body:
            json.dumps(parsed, ensure_ascii=False).encode()  # an escape may be half a character, which no row can hold
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _entry(listed: Any) -> PartyEntry | None:
    if not isinstance(listed, dict):
        return None
    fsp, sub_id, currency = (listed.get(name) or None for name in ("fspId", "partySubIdOrType", "currency"))
    optional = all(value is None or isinstance(value, str) for value in (sub_id, currency))
    return PartyEntry(fsp, sub_id, currency) if isinstance(fsp, str) and optional else None


def _party(result: Any) -> PartyId | None:
    named = result.get("partyId") if isinstance(result, dict) else None
    if not isinstance(named, dict):
        return None
    id_type, identifier = named.get("partyIdType"), named.get("partyIdentifier")
    if not isinstance(id_type, str) or not isinstance(identifier, str):
        return None
    sub_id = named.get("partySubIdOrType")
    return PartyId(id_type, identifier, sub_id if isinstance(sub_id, str) else None)


def _told(parsed: dict[str, Any]) -> ErrorInformation | None:
    """The error that an answer itself names, if it is one of the API's."""
    information = parsed.get("errorInformation")
    if not isinstance(information, dict):
        return None
    code, description = information.get("errorCode"), information.get("errorDescription")
    if not isinstance(code, str) or not isinstance(description, str) or not description:
        return None
    return ErrorInformation(code, description[:128]) if is_defined_error_code(code) else None
