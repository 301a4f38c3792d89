"""A scheme as its file declares it, and everything that can be found wrong in it without the hub."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.alias_generators import to_camel

from clearinghub.domain.money import parse_decimal
from clearinghub.domain.participants.endpoints import check_endpoint
from clearinghub.domain.participants.scheme import HUB_MULTILATERAL_SETTLEMENT, HUB_RECONCILIATION, POSITION, SETTLEMENT
from clearinghub.domain.settlement.model import COMBINATIONS
from clearinghub.tools.client.names import ENDPOINT_PREFIX, full_endpoint_type, is_participant_name
from clearinghub.yaml_file import Document, Fault

NUMBER_LENGTH_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Context:
    """What a file is judged by: the hub's name, and the currencies that the scheme accepts."""

    hub_name: str
    currencies: Collection[str]


def _amount(value: object) -> int:
    units = parse_decimal(value) if isinstance(value, str | Decimal) else None
    if units is None:
        raise ValueError(f"{value} is no amount: digits, a point, up to four decimals")
    return units


def _name(name: str) -> str:
    if not is_participant_name(name):
        raise ValueError("a name has 2 to 30 letters, digits, dots, dashes, underscores")
    return name


def _currency(code: str, info: ValidationInfo) -> str:
    assert isinstance(info.context, Context)
    if code not in info.context.currencies:
        raise ValueError("no currency of ISO 4217; CLEARINGHUB_CURRENCIES_EXTRA names a scheme's own")
    return code


def _endpoint_type(text: str) -> str:
    known = full_endpoint_type(text)
    if known is None:
        raise ValueError("no endpoint type such as TRANSFER_POST")
    return known


def _nothing_is_empty(value: object) -> object:
    return {} if value is None else value


Amount = Annotated[int, BeforeValidator(_amount)]
Name = Annotated[str, AfterValidator(_name)]
Currency = Annotated[str, AfterValidator(_currency)]
ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{2,30}$")]
Percent = Annotated[int, Field(ge=0, le=100)]


class _Declared(BaseModel):
    """A part of a file; an unknown key is a fault, for it would silently have no effect."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    @model_validator(mode="before")
    @classmethod
    def _may_be_empty(cls, value: Any) -> Any:
        return _nothing_is_empty(value)


class DeclaredModel(_Declared):
    """A settlement model, as in the body of POST /settlementModels; without more it is deferred, net, multilateral."""

    settlement_delay: Literal["DEFERRED", "IMMEDIATE"] = "DEFERRED"
    settlement_granularity: Literal["NET", "GROSS"] = "NET"
    settlement_interchange: Literal["MULTILATERAL", "BILATERAL"] = "MULTILATERAL"
    ledger_account_type: str = POSITION
    settlement_account_type: Literal["SETTLEMENT", "INTERCHANGE_FEE_SETTLEMENT"] = SETTLEMENT
    require_liquidity_check: StrictBool = True
    auto_position_reset: StrictBool = True
    is_active: StrictBool | None = None

    @model_validator(mode="after")
    def _is_supported(self) -> Self:
        if (self.settlement_delay, self.settlement_granularity, self.settlement_interchange) not in COMBINATIONS:
            raise ValueError("this combination of delay, granularity and interchange is not supported")
        return self


Models = Annotated[dict[ModelName, DeclaredModel], BeforeValidator(_nothing_is_empty)]


class DeclaredCurrency(_Declared):
    """A currency: the hub's own accounts in it, and settlement models for this currency only."""

    hub_accounts: list[Literal["HUB_RECONCILIATION", "HUB_MULTILATERAL_SETTLEMENT", "HUB_FEE"]] = Field(
        default=[HUB_RECONCILIATION, HUB_MULTILATERAL_SETTLEMENT]
    )
    settlement_models: Models = Field(default={})


class DeclaredHolding(_Declared):
    """A participant in one currency. Funds are topped up to `funds_at_least_units`, and never reduced."""

    net_debit_cap_units: Amount | None = Field(default=None, alias="netDebitCap")
    alarm_percent: Percent | None = Field(default=None, alias="alarmPercentage")
    funds_at_least_units: Amount | None = Field(default=None, alias="fundsAtLeast")
    is_active: StrictBool | None = None

    @model_validator(mode="after")
    def _has_its_cap(self) -> Self:
        if self.net_debit_cap_units is None and self.alarm_percent is not None:
            raise ValueError("alarmPercentage needs a netDebitCap")
        if self.net_debit_cap_units is None and self.funds_at_least_units:
            raise ValueError("fundsAtLeast needs a netDebitCap: the first cap opens the account for funds")
        return self


class DeclaredEndpoint(_Declared):
    """The URL for callbacks of one type; in the file it is `type: value`."""

    endpoint_type: str
    value: str

    @model_validator(mode="after")
    def _is_accepted(self) -> Self:
        fault = check_endpoint(_endpoint_type(self.endpoint_type), self.value)
        if fault is not None:
            raise ValueError(fault.detail)
        return self


def _as_endpoints(value: object) -> object:
    if not isinstance(value, dict):
        return _nothing_is_empty(value)
    return {kind: {"endpointType": kind, "value": url} for kind, url in value.items()}


class DeclaredParticipant(_Declared):
    """A DFSP: its currencies, endpoints and flags; the hub keeps its value of a flag that is not given."""

    is_active: StrictBool | None = None
    is_proxy: StrictBool | None = None
    currencies: Annotated[dict[Currency, DeclaredHolding], Field(min_length=1)]
    endpoints: Annotated[dict[str, DeclaredEndpoint], BeforeValidator(_as_endpoints)] = Field(default={})

    @property
    def values_by_type(self) -> dict[str, str]:
        """The URLs by full endpoint type."""
        return {_endpoint_type(one.endpoint_type): one.value for one in self.endpoints.values()}


class DeclaredScheme(_Declared):
    """A whole scheme. `settlement_models` are for every currency without its own."""

    currencies: Annotated[dict[Currency, DeclaredCurrency], Field(min_length=1)]
    settlement_models: Models = Field(default={})
    participants: Annotated[dict[Name, DeclaredParticipant], BeforeValidator(_nothing_is_empty)] = Field(default={})

    def models(self) -> Iterator[tuple[str, str | None, DeclaredModel]]:
        """Yield every settlement model with its name and its currency, None for all others."""
        for code, currency in self.currencies.items():
            for name, model in currency.settlement_models.items():
                yield name, code, model
        for name, model in self.settlement_models.items():
            yield name, None, model


def read_scheme(document: Document, context: Context) -> tuple[DeclaredScheme | None, list[Fault]]:
    """Return the scheme, or None with everything that is wrong in the file, in the order of its lines."""
    faults = [*document.faults, *_cross_faults(document.content, context)]
    scheme = None
    try:
        scheme = DeclaredScheme.model_validate(document.content, context=context)
    except ValidationError as error:
        faults += [
            Fault(tuple(part for part in one["loc"] if part != "[key]"), _message(one)) for one in error.errors()
        ]
    return (None if faults else scheme), sorted(faults, key=lambda fault: document.line_of(fault.path))


def _message(error: Mapping[str, Any]) -> str:
    written = error["input"]
    message = str(error["msg"]).removeprefix("Value error, ")
    shows_input = error["type"] not in ("missing", "extra_forbidden", "value_error") and not isinstance(written, dict)
    return f"{message} (got {str(written)[:NUMBER_LENGTH_MAX]})" if shows_input else message


def _cross_faults(content: object, context: Context) -> list[Fault]:
    """Return what is wrong between the parts of a file; the models find what is wrong within one."""
    currencies, participants = _section(content, "currencies"), _section(content, "participants")
    faults = []
    lower: dict[str, str] = {context.hub_name.lower(): "the hub"}
    for name, participant in participants.items():
        other = lower.setdefault(name.lower(), name)
        if other != name:
            faults.append(Fault(("participants", name), f"the name differs from {other}'s at most in case"))
        faults += [
            Fault(("participants", name, "currencies", code), f"{code} is not among the file's currencies")
            for code in _section(participant, "currencies")
            if code not in currencies
        ]
        faults += _endpoints_twice(name, _section(participant, "endpoints"))
    return [*faults, *_models_twice(content, currencies)]


def _endpoints_twice(name: str, endpoints: Mapping[str, Any]) -> Iterator[Fault]:
    for short in endpoints:
        if ENDPOINT_PREFIX + short in endpoints:
            yield Fault(("participants", name, "endpoints", short), f"stands twice, also as {ENDPOINT_PREFIX}{short}")


def _models_twice(content: object, currencies: Mapping[str, Any]) -> Iterator[Fault]:
    places: list[tuple[str | int, ...]] = [
        ("currencies", code, "settlementModels", name)
        for code, currency in currencies.items()
        for name in _section(currency, "settlementModels")
    ]
    places += [("settlementModels", name) for name in _section(content, "settlementModels")]
    first: dict[str | int, tuple[str | int, ...]] = {}
    for place in places:
        if first.setdefault(place[-1], place) != place:
            yield Fault(place, "the name is another settlement model's")


def _section(content: object, key: str) -> Mapping[str, Any]:
    section = content.get(key) if isinstance(content, dict) else None
    return section if isinstance(section, dict) else {}
