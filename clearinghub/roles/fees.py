"""The scheme's interchange fees, from the file that CLEARINGHUB_INTERCHANGE_FEES_FILE names (docs/settlement.md)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from clearinghub.domain.money import parse_decimal
from clearinghub.domain.settlement.interchange_fee import FeeRule
from clearinghub.yaml_file import UnreadableError, read_document

RULES_MAX: Final = 500  # every prepare of a currency may be held against all of them
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class FeesFileError(Exception):
    """The file cannot be used; the sentence tells where and why."""


def _units(value: object) -> int:
    units = parse_decimal(value) if isinstance(value, str | Decimal) else None
    if units is None:
        raise ValueError(f"{value} is no amount: digits, a point, up to four decimals")
    return units


def _milliseconds(value: object) -> int:
    try:
        return (datetime.fromisoformat(str(value)) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{value} is no time with an offset, such as 2027-01-01T00:00:00Z") from error


_Units = Annotated[int, BeforeValidator(_units)]
_Moment = Annotated[int, BeforeValidator(_milliseconds)]


class _Rule(BaseModel):
    """One rule, keys as in the file; one that is not known is a fault, for it would be silently without effect."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=64)
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    paid_by: Literal["payer", "payee"]
    payers: tuple[str, ...] = ()
    payees: tuple[str, ...] = ()
    transaction_type: dict[Literal["scenario", "subScenario", "initiator", "initiatorType"], str] = {}
    amount_from: _Units = 0
    amount_below: _Units | None = None
    valid_from: _Moment | None = None
    valid_until: _Moment | None = None
    fixed: _Units = 0
    percent: _Units = 0
    at_least: _Units = 0
    at_most: _Units | None = None

    def rule(self) -> FeeRule:
        """As the domain has it."""
        transaction = {str(key): value for key, value in self.transaction_type.items()}
        return FeeRule(
            self.name,
            self.currency,
            frozenset(self.payers),
            frozenset(self.payees),
            transaction,
            self.amount_from,
            self.amount_below,
            self.valid_from,
            self.valid_until,
            self.paid_by == "payer",
            self.fixed,
            self.percent,
            self.at_least,
            self.at_most,
        )


class _File(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    interchange_fees: tuple[_Rule, ...] = Field(max_length=RULES_MAX)


def load_fee_rules(path: Path | None) -> tuple[FeeRule, ...]:
    """The rules in their order, in which the first that matches counts; none without a file.

    Raises:
        FeesFileError: the file cannot be read, or something in it is wrong.
    """
    if path is None:
        return ()
    try:
        document = read_document(path.read_text())
    except OSError as error:
        raise FeesFileError(f"{path}: {error.strerror}") from error
    except (UnreadableError, UnicodeDecodeError) as error:
        raise FeesFileError(f"{path}: {error}") from error
    for fault in document.faults:
        raise FeesFileError(f"{path}:{document.line_of(fault.path)}: {fault.text}")
    try:
        return tuple(rule.rule() for rule in _File.model_validate(document.content).interchange_fees)
    except ValidationError as error:
        first: Any = error.errors()[0]
        place = tuple(first["loc"])
        shown = ".".join(map(str, place))
        raise FeesFileError(f"{path}:{document.line_of(place)}: {shown}: {first['msg']}") from error
