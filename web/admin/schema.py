"""Checks of the admin API's input, in the words of Joi, with which the reference validates (protocol 1.3).

The first fault is told: an object's own keys in the schema's order, then keys that it does not know. Text from outside
becomes the value that the hub works with: numbers are integers of 1/10,000 (`money`), never floats. Each check says as
JSON Schema, in the dialect of OpenAPI 3.0, what it takes; a test compares that with web/openapi/admin.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple, NoReturn

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.money import AMOUNT_LIMIT, UNITS_PER_CURRENCY_UNIT, parse_decimal
from web.http.errors import ApiError


class Place(NamedTuple):
    """Where a value stands: its path, and what messages call it."""

    path: str
    label: str


ROOT: Final = Place("", "value")


@dataclass(frozen=True, slots=True)
class Check:
    """Gives the value as the hub wants it. Raises ApiError whose text names the place's label.

    `takes` is what it takes, as JSON Schema.
    """

    read: Callable[[object, Place], Any]
    takes: Mapping[str, Any]

    def __call__(self, value: object, place: Place) -> Any:
        """The value, read."""
        return self.read(value, place)


_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ULID: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_NUMBER_LENGTH_MAX: Final = 64
_WHOLE_DIGITS_MAX: Final = 14  # of the ledger's 18, four are behind the point
_MONEY_MAX: Final = 10**_WHOLE_DIGITS_MAX - 1  # a whole number, for JSON Schema's numbers are floats to many readers
_FLAG_TEXT: Final = "[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]"
_TRUE: Final = frozenset({"true", "1"})
_FALSE: Final = frozenset({"false", "0", ""})


@dataclass(frozen=True, slots=True)
class Key:
    """One key of an object; `label` is what messages call it, its path unless given."""

    check: Check
    required: bool = True
    label: str | None = None


Keys = Mapping[str, Key]


def check_object(value: object, keys: Keys, place: Place = ROOT) -> dict[str, Any]:
    """The checked keys of an object; optional ones that are absent stay absent."""
    if not isinstance(value, dict):
        _refuse(ErrorCode.VALIDATION_ERROR, place, "must be of type object")
    checked: dict[str, Any] = {}
    for name, key in keys.items():
        below = _below(place, name, key.label)
        if name in value:
            checked[name] = key.check(value[name], below)
        elif key.required:
            _refuse(ErrorCode.MISSING_ELEMENT, below, "is required")
    for name in value:
        if name not in keys:
            _refuse(ErrorCode.VALIDATION_ERROR, _below(place, name), "is not allowed")
    return checked


def described(keys: Keys) -> dict[str, Any]:
    """What `check_object` takes, as JSON Schema."""
    return {
        "type": "object",
        "required": [name for name, key in keys.items() if key.required],
        "properties": {name: key.check.takes for name, key in keys.items()},
        "additionalProperties": False,
    }


def object_of(keys: Keys) -> Check:
    """An object within the object."""
    return Check(lambda value, place: check_object(value, keys, place), described(keys))


def list_of(keys: Keys, count_max: int) -> Check:
    """A list of objects, at least one."""

    def check(value: object, place: Place) -> list[dict[str, Any]]:
        if not isinstance(value, list):
            _refuse(ErrorCode.VALIDATION_ERROR, place, "must be an array")
        if not value:
            _refuse(ErrorCode.VALIDATION_ERROR, place, "must contain at least 1 items")
        if len(value) > count_max:
            _refuse(ErrorCode.VALIDATION_ERROR, place, f"must contain less than or equal to {count_max} items")
        return [check_object(item, keys, _at(place, index)) for index, item in enumerate(value)]

    return Check(check, {"type": "array", "minItems": 1, "maxItems": count_max, "items": described(keys)})


def text(*, length_min: int = 1, length_max: int | None = None, pattern: str | None = None) -> Check:
    """A string; `pattern` must match all of it."""
    compiled = None if pattern is None else re.compile(pattern)

    def check(value: object, place: Place) -> str:
        if not isinstance(value, str):
            _refuse(ErrorCode.MALFORMED_SYNTAX, place, "must be a string")
        if not value:
            _refuse(ErrorCode.MALFORMED_SYNTAX, place, "is not allowed to be empty")
        if len(value) < length_min:
            _refuse(ErrorCode.MALFORMED_SYNTAX, place, f"length must be at least {length_min} characters long")
        if length_max is not None and len(value) > length_max:
            fault = f"length must be less than or equal to {length_max} characters long"
            _refuse(ErrorCode.MALFORMED_SYNTAX, place, fault)
        if compiled is not None and compiled.fullmatch(value) is None:
            fault = f'with value "{value}" fails to match the required pattern: /^{pattern}$/'
            _refuse(ErrorCode.MALFORMED_SYNTAX, place, fault)
        return value

    takes: dict[str, Any] = {"type": "string", "minLength": length_min}
    if length_max is not None:
        takes["maxLength"] = length_max
    if pattern is not None:
        takes["pattern"] = f"^{pattern}$"
    return Check(check, takes)


def one_of(values: Sequence[str], allowed: Collection[str] | None = None) -> Check:
    """One of the values; `allowed` is the same as a set, where they are many."""
    known = frozenset(values) if allowed is None else allowed
    listed = f"[{', '.join(values)}]"
    fault = f"must be {listed}" if len(values) == 1 else f"must be one of {listed}"

    def check(value: object, place: Place) -> str:
        if not isinstance(value, str) or value not in known:
            _refuse(ErrorCode.MALFORMED_SYNTAX, place, fault)
        return value

    return Check(check, {"type": "string", "enum": list(values)})


def _boolean(value: object, place: Place) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        _refuse(ErrorCode.VALIDATION_ERROR, place, "must be a boolean")
    return value


boolean: Final = Check(_boolean, {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": f"^({_FLAG_TEXT})$"}]})
"""A flag, or its text."""


def _loose_boolean(value: object, place: Place) -> bool:
    if value is None or value in (0, 1):
        return bool(value)
    if not isinstance(value, str) or value.lower() not in _TRUE | _FALSE:
        _refuse(ErrorCode.VALIDATION_ERROR, place, "must be a boolean")
    return value.lower() in _TRUE


loose_boolean: Final = Check(
    _loose_boolean,
    {
        "anyOf": [
            {"type": "boolean", "nullable": True},
            {"type": "integer", "enum": [0, 1]},
            {"type": "string", "pattern": f"^({_FLAG_TEXT}|[01]?)$"},
        ]
    },
)
"""A flag as the reference takes it for `isProxy`: also 0, 1, their texts, an empty text, and null."""


def money(*, at_least: int | None = None) -> Check:
    """A number, or its text, that the ledger can hold; as an integer of 1/10,000."""

    def check(value: object, place: Place) -> int:
        number = _number(value, place)
        units = parse_decimal(number, at_least=1 - AMOUNT_LIMIT)
        if units is None:
            too_large = number.adjusted() >= _WHOLE_DIGITS_MAX
            fault = "must be a safe number" if too_large else "must have no more than 4 decimal places"
            _refuse(ErrorCode.VALIDATION_ERROR, place, fault)
        if at_least is not None and units < at_least:
            _refuse(ErrorCode.VALIDATION_ERROR, place, "must be a positive number")
        return units

    return Check(check, _money_taken(at_least))


def _money_taken(at_least: int | None) -> dict[str, Any]:
    smallest = {None: -_MONEY_MAX, 0: 0, 1: 0.0001}[at_least]
    lead = {None: "-?", 0: "", 1: "(?=.*[1-9])"}[at_least]
    written = rf"^{lead}(0|[1-9][0-9]{{0,{_WHOLE_DIGITS_MAX - 1}}})(\.[0-9]{{1,4}})?$"
    return {
        "anyOf": [
            {"type": "number", "minimum": smallest, "maximum": _MONEY_MAX, "multipleOf": 0.0001},
            {"type": "string", "pattern": written},
        ]
    }


def _percentage(value: object, place: Place) -> int:
    units = parse_decimal(_number(value, place), at_least=1 - AMOUNT_LIMIT)
    if units is None or units % UNITS_PER_CURRENCY_UNIT:
        _refuse(ErrorCode.MALFORMED_SYNTAX, place, "must be an integer")
    percent = units // UNITS_PER_CURRENCY_UNIT
    if percent < 0:
        _refuse(ErrorCode.VALIDATION_ERROR, place, "must be greater than or equal to 0")
    if percent > 100:  # noqa: PLR2004 - per cent
        _refuse(ErrorCode.VALIDATION_ERROR, place, "must be less than or equal to 100")
    return percent


percentage: Final = Check(
    _percentage,
    {
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": 100},
            {"type": "string", "pattern": "^(100|[1-9]?[0-9])$"},
        ]
    },
)
"""A whole number of per cent, 0 to 100; the ledger keeps no fractions of one."""


def _transfer_id(value: object, place: Place) -> str:
    if not isinstance(value, str):
        _refuse(ErrorCode.MALFORMED_SYNTAX, place, "must be a string")
    if _UUID.fullmatch(value):
        return value.lower()
    if not _ULID.fullmatch(value):
        _refuse(ErrorCode.MALFORMED_SYNTAX, place, "must be a valid GUID")
    return value


transfer_id: Final = Check(_transfer_id, {"type": "string", "pattern": f"^({_UUID.pattern}|{_ULID.pattern})$"})
"""A UUID or a ULID. FSPIOP knows lower-case UUIDs only, and a DFSP shall find the transfer: so it is stored."""


def _number(value: object, place: Place) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        _refuse(ErrorCode.VALIDATION_ERROR, place, "must be a number")
    if isinstance(value, int) and abs(value) >= AMOUNT_LIMIT:
        _refuse(ErrorCode.VALIDATION_ERROR, place, "must be a safe number")  # before str(): it may be very long
    written = str(value)
    if len(written) > _NUMBER_LENGTH_MAX:
        _refuse(ErrorCode.VALIDATION_ERROR, place, "must be a safe number")
    if _NUMBER.fullmatch(written) is None:
        _refuse(ErrorCode.VALIDATION_ERROR, place, "must be a number")
    return Decimal(written)


def _below(place: Place, name: str, label: str | None = None) -> Place:
    path = f"{place.path}.{name}" if place.path else name
    return Place(path, label or path)


def _at(place: Place, index: int) -> Place:
    path = f"{place.path}[{index}]"
    return Place(path, path)


def _refuse(error: ErrorCode, place: Place, fault: str) -> NoReturn:
    raise ApiError(Rejection(error, f'"{place.label}" {fault}'))
