"""Oracles: the registry of external ones, which of them to ask, and what its answer means (protocol 6.1, 6.2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import Enum
from typing import Final, TypeAlias

import msgspec
from msgspec.structs import replace

from clearinghub.domain.errors import (
    DESCRIPTION_LENGTH_MAX,
    ErrorCode,
    ErrorInformation,
    Rejection,
    is_defined_error_code,
)
from clearinghub.domain.participants.participant import Oracle, OracleDefinition, OracleFields, Participant
from clearinghub.domain.parties.party import Entries, PartyEntry, PartyId

ORACLES_MAX: Final = 500
LIST_MAX: Final = 1_000  # how many FSPs of one party are read of an answer; the others are ignored

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
    """Return the oracle to ask: a registered one of the identifier's type, or the built-in one if none is registered.

    Among several the default one is chosen, else the one with the smallest id. An oracle without a currency is chosen
    only if no oracle has the requested currency.
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
    """Return the hub with one more oracle, or why not. `next_id` returns an id that no oracle has ever had."""
    if len(hub.oracles) >= ORACLES_MAX:
        return _TOO_MANY
    oracle_id = next_id()
    assert _find(hub, oracle_id) is None, f"oracle {oracle_id} exists"
    oracle = Oracle(
        oracle_id, defined.id_type, defined.url, defined.endpoint_type, defined.currency, defined.is_default
    )
    return _with(hub, (*hub.oracles, oracle), oracle)


def change_oracle(hub: Participant, oracle_id: int, change: OracleFields) -> Participant | Rejection:
    """Return the hub with one oracle changed, or why not."""
    found = _find(hub, oracle_id)
    if found is None:
        return _NOT_FOUND
    changed = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
    oracle = replace(found, **changed)
    return _with(hub, tuple(oracle if one is found else one for one in hub.oracles), oracle)


def remove_oracle(hub: Participant, oracle_id: int) -> Participant | Rejection:
    """Return the hub without one of its oracles, or why not."""
    found = _find(hub, oracle_id)
    return _NOT_FOUND if found is None else _changed(hub, tuple(one for one in hub.oracles if one is not found))


def read_lookup(status: int | None, body: bytes) -> Entries | ErrorInformation:
    """Return the FSPs that a lookup's answer names, none if the oracle does not know the party, or the error.

    Args:
        status: the answer's HTTP status; None if there was no answer.
        body: the answer's body.
    """
    if status is None or status >= 500:  # noqa: PLR2004 - HTTP's own numbers, here and below
        return ErrorInformation.of(NO_ANSWER)
    if status in (400, 404):
        return ()
    parsed = _parse(body)
    if not 200 <= status < 300:  # noqa: PLR2004
        return _named_error(parsed) or ErrorInformation.of(Rejection(ErrorCode.CLIENT_ERROR))
    listed = parsed.get("partyList")
    if not isinstance(listed, list):
        return ErrorInformation.of(_NO_LIST)
    entries = tuple(_entry(one) for one in listed[:LIST_MAX])
    if None in entries:
        return ErrorInformation.of(_NO_LIST)
    return tuple(one for one in entries if one is not None)


def read_change(method: str, status: int | None, body: bytes) -> ErrorInformation | None:
    """Return the error of a registration, an update or a removal, or None if it succeeded.

    POST has succeeded only with 201; PUT and DELETE with any 2xx status.
    """
    if status is None or status >= 500:  # noqa: PLR2004
        return ErrorInformation.of(NO_ANSWER)
    if status == 201 or (method != "POST" and 200 <= status < 300):  # noqa: PLR2004
        return None
    refused = ErrorInformation.of(_NOT_DELETED if method == "DELETE" else _NOT_ADDED)
    named = _named_error(_parse(body))
    return named if named is not None and named.code == refused.code else refused


BatchResults: TypeAlias = Mapping[PartyId, ErrorInformation | None] | ErrorInformation
"""The error of each party of a batch, None if it was registered; or the error of the batch as a whole."""


def read_batch(status: int | None, body: bytes) -> BatchResults:
    """Return the results that the answer to a batch names."""
    error = read_change("POST", status, body)
    if error is not None:
        return error
    listed = _parse(body).get("partyList")
    results: dict[PartyId, ErrorInformation | None] = {}
    for one in listed if isinstance(listed, list) else ():
        party = _party(one)
        if party is not None:
            has_error = one.get("errorInformation") is not None
            results[party] = (_named_error(one) or ErrorInformation.of(_NOT_ADDED)) if has_error else None
    return results


def batch_result(results: BatchResults, party: PartyId) -> ErrorInformation | None:
    """Return a party's error, or None if it was registered; a party that the oracle does not name was not."""
    if isinstance(results, ErrorInformation):
        return results
    return results.get(party, ErrorInformation.of(_NOT_ADDED))


def _find(hub: Participant, oracle_id: int) -> Oracle | None:
    return next((one for one in hub.oracles if one.oracle_id == oracle_id), None)


def _with(hub: Participant, oracles: tuple[Oracle, ...], new: Oracle) -> Participant | Rejection:
    if any(one.oracle_id != new.oracle_id and _serve_the_same(one, new) for one in oracles):
        return _EXISTS
    return _changed(hub, oracles)


def _changed(hub: Participant, oracles: tuple[Oracle, ...]) -> Participant:
    return replace(hub, oracles=oracles, version=hub.version + 1)


def _serve_the_same(one: Oracle, other: Oracle) -> bool:
    return (one.id_type, one.endpoint_type, one.currency) == (other.id_type, other.endpoint_type, other.currency)


def _parse(body: bytes) -> dict[str, object]:
    """Return the JSON object in an answer's body, or an empty one if the body holds none that a row can store."""
    try:
        parsed = json.loads(body.decode())
        if b"\\u" in body:
            json.dumps(parsed, ensure_ascii=False).encode()  # raises for an escape that is half a character
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _entry(listed: object) -> PartyEntry | None:
    if not isinstance(listed, dict):
        return None
    fsp, sub_id, currency = (listed.get(name) or None for name in ("fspId", "partySubIdOrType", "currency"))
    optional = all(value is None or isinstance(value, str) for value in (sub_id, currency))
    return PartyEntry(fsp, sub_id, currency) if isinstance(fsp, str) and optional else None


def _party(result: object) -> PartyId | None:
    named = result.get("partyId") if isinstance(result, dict) else None
    if not isinstance(named, dict):
        return None
    id_type, identifier = named.get("partyIdType"), named.get("partyIdentifier")
    if not isinstance(id_type, str) or not isinstance(identifier, str):
        return None
    sub_id = named.get("partySubIdOrType")
    return PartyId(id_type, identifier, sub_id if isinstance(sub_id, str) else None)


def _named_error(parsed: Mapping[str, object]) -> ErrorInformation | None:
    """Return the error that an answer names, if its code is one of the API's."""
    information = parsed.get("errorInformation")
    if not isinstance(information, dict):
        return None
    code, description = information.get("errorCode"), information.get("errorDescription")
    if not isinstance(code, str) or not isinstance(description, str) or not description:
        return None
    return ErrorInformation(code, description[:DESCRIPTION_LENGTH_MAX]) if is_defined_error_code(code) else None
