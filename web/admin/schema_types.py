"""Types of the values that the admin API accepts, as pydantic validates them (protocol 1.3).

The reference validates with Joi, whose texts clients know; schema_errors.py writes them. Text from outside becomes the
value that the hub works with: amounts are integers of 1/10,000, never floats. The JSON Schema of each type is compared
with web/openapi/admin.yaml by a test.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, ValidationInfo, WithJsonSchema

from clearinghub.domain.errors import ErrorCode
from clearinghub.domain.money import AMOUNT_LIMIT, UNITS_PER_CURRENCY_UNIT, parse_decimal
from web.admin.schema_errors import refused

NO_OTHER_KEYS: Final = ConfigDict(extra="forbid")
"""For each TypedDict of its own: keys that it does not know are refused."""

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ULID: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_NUMBER_LENGTH_MAX: Final = 64
_WHOLE_DIGITS_MAX: Final = 14  # of the ledger's 18, four are after the point
_MONEY_MAX: Final = 10**_WHOLE_DIGITS_MAX - 1  # a whole number, for JSON Schema's numbers are floats to many readers
_PER_CENT_MAX: Final = 100
_FLAG_TEXT: Final = "[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]"
_TRUE: Final = frozenset({"true", "1"})
_FALSE: Final = frozenset({"false", "0", ""})


def _flag(value: object) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise refused(ErrorCode.VALIDATION_ERROR, "must be a boolean")
    return value


def _loose_flag(value: object) -> bool:
    if value is None or value in (0, 1):
        return bool(value)
    if not isinstance(value, str) or value.lower() not in _TRUE | _FALSE:
        raise refused(ErrorCode.VALIDATION_ERROR, "must be a boolean")
    return value.lower() in _TRUE


def _currency(value: object, info: ValidationInfo) -> str:
    """Return a currency of the scheme; the validation's context has all of them."""
    assert info.context is not None
    if not isinstance(value, str) or value not in info.context:
        raise refused(ErrorCode.MALFORMED_SYNTAX, f"must be one of [{', '.join(sorted(info.context))}]")
    return value


def _decimal(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise refused(ErrorCode.VALIDATION_ERROR, "must be a number")
    if isinstance(value, int) and abs(value) >= AMOUNT_LIMIT:
        raise refused(ErrorCode.VALIDATION_ERROR, "must be a safe number")  # before str(): it may be very long
    written = str(value)
    if len(written) > _NUMBER_LENGTH_MAX:
        raise refused(ErrorCode.VALIDATION_ERROR, "must be a safe number")
    if _NUMBER.fullmatch(written) is None:
        raise refused(ErrorCode.VALIDATION_ERROR, "must be a number")
    return Decimal(written)


def _money(at_least: int | None) -> Callable[[object], int]:
    def read(value: object) -> int:
        number = _decimal(value)
        units = parse_decimal(number, at_least=1 - AMOUNT_LIMIT)
        if units is None:
            too_large = number.adjusted() >= _WHOLE_DIGITS_MAX
            fault = "must be a safe number" if too_large else "must have no more than 4 decimal places"
            raise refused(ErrorCode.VALIDATION_ERROR, fault)
        if at_least is not None and units < at_least:
            raise refused(ErrorCode.VALIDATION_ERROR, "must be a positive number")
        return units

    return read


def _money_schema(at_least: int | None) -> dict[str, Any]:
    smallest = {None: -_MONEY_MAX, 0: 0, 1: 0.0001}[at_least]
    lead = {None: "-?", 0: "", 1: "(?=.*[1-9])"}[at_least]
    written = rf"^{lead}(0|[1-9][0-9]{{0,{_WHOLE_DIGITS_MAX - 1}}})(\.[0-9]{{1,4}})?$"
    return {
        "anyOf": [
            {"type": "number", "minimum": smallest, "maximum": _MONEY_MAX, "multipleOf": 0.0001},
            {"type": "string", "pattern": written},
        ]
    }


def _percentage(value: object) -> int:
    units = parse_decimal(_decimal(value), at_least=1 - AMOUNT_LIMIT)
    if units is None or units % UNITS_PER_CURRENCY_UNIT:
        raise refused(ErrorCode.MALFORMED_SYNTAX, "must be an integer")
    percent = units // UNITS_PER_CURRENCY_UNIT
    if percent < 0:
        raise refused(ErrorCode.VALIDATION_ERROR, "must be greater than or equal to 0")
    if percent > _PER_CENT_MAX:
        raise refused(ErrorCode.VALIDATION_ERROR, f"must be less than or equal to {_PER_CENT_MAX}")
    return percent


def _transfer_id(value: str) -> str:
    if _UUID.fullmatch(value):
        return value.lower()
    if not _ULID.fullmatch(value):
        raise refused(ErrorCode.MALFORMED_SYNTAX, "must be a valid GUID")
    return value


def matching(pattern: str) -> AfterValidator:
    """Return the check that a pattern matches all of a text; for patterns that pydantic's own engine cannot read."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            fault = f'with value "{value}" fails to match the required pattern: /^{pattern}$/'
            raise refused(ErrorCode.MALFORMED_SYNTAX, fault)
        return value

    return AfterValidator(check)


Text: TypeAlias = Annotated[str, Field(min_length=1)]
Currency: TypeAlias = Annotated[str, PlainValidator(_currency), WithJsonSchema({"type": "string"})]
Flag: TypeAlias = Annotated[
    bool,
    PlainValidator(_flag),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": f"^({_FLAG_TEXT})$"}]}),
]
"""A flag, or its text."""
LooseFlag: TypeAlias = Annotated[
    bool,
    PlainValidator(_loose_flag),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "boolean", "nullable": True},
                {"type": "integer", "enum": [0, 1]},
                {"type": "string", "pattern": f"^({_FLAG_TEXT}|[01]?)$"},
            ]
        }
    ),
]
"""A flag as the reference accepts it for `isProxy`: also 0, 1, their texts, an empty text, and null."""
Money: TypeAlias = Annotated[int, PlainValidator(_money(None)), WithJsonSchema(_money_schema(None))]
"""A number, or its text, that the ledger can hold; it becomes an integer of 1/10,000."""
MoneyNotNegative: TypeAlias = Annotated[int, PlainValidator(_money(0)), WithJsonSchema(_money_schema(0))]
MoneyPositive: TypeAlias = Annotated[int, PlainValidator(_money(1)), WithJsonSchema(_money_schema(1))]
Percentage: TypeAlias = Annotated[
    int,
    PlainValidator(_percentage),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": 100},
                {"type": "string", "pattern": "^(100|[1-9]?[0-9])$"},
            ]
        }
    ),
]
"""A whole number of per cent, 0 to 100; the ledger keeps no fractions of one."""
TransferId: TypeAlias = Annotated[
    str,
    AfterValidator(_transfer_id),
    WithJsonSchema({"type": "string", "pattern": f"^({_UUID.pattern}|{_ULID.pattern})$"}),
]
"""A UUID or a ULID. FSPIOP knows lower-case UUIDs only, and a DFSP must find the transfer: so it is stored."""
