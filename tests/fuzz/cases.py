"""The requests: invented by schemathesis from web/openapi/, and steered to what the hub knows.

Left alone, a request names participants, accounts and transfers that do not exist, and an invalid body stands below
headers that are wrong already. So most requests have the sound parts replaced by ones that lead further.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, BaseSchema, Case, GenerationMode
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from schemathesis.generation.meta import TestPhase

from tests.fuzz.hub import CURRENCIES, DFSPS, Account
from tests.fuzz.settlements import Settlements

AnyCase: TypeAlias = Case[Any]
AnyOperation: TypeAlias = APIOperation[Any, Any, Any, Any]

DESCRIPTIONS = Path(__file__).parents[2] / "web" / "openapi"
MEDIA_TYPE = "application/vnd.interoperability.{}+json;version=1.1"
PARTIES = (("MSISDN", "27710101999"), ("EMAIL", "a@b.example"), ("ALIAS", "shop-7"), ("SHOE_SIZE", "42"))
NAMES = (*DFSPS, "Hub", "gamma", "delta")
ENDPOINTS = (
    ("FSPIOP_CALLBACK_URL_TRANSFER_POST", "http://127.0.0.1:9/transfers"),
    ("FSPIOP_CALLBACK_URL_TRANSFER_PUT", "http://127.0.0.1:9/transfers/{{transferId}}"),
    ("NET_DEBIT_CAP_ADJUSTMENT_EMAIL", "some@example.com"),
)
CONDITION = "f5sqb7tBTWPd5Y8BDFdMm9BJR_MNI4isf8p8n4D5pHA"
FULFILMENT = "WLctttbu2HvTsa1XWvUoGRcQozHsqeu9Ahl2JW9Bsu8"
READING_ORDER = (ParameterLocation.HEADER, ParameterLocation.PATH, ParameterLocation.QUERY, ParameterLocation.BODY)
STEERED_OF_TEN = 8


def described(name: str, mode: GenerationMode) -> tuple[BaseSchema, BaseSchema]:
    """The description of a surface, for corner cases and for random ones."""
    content = yaml.safe_load((DESCRIPTIONS / f"{name}.yaml").read_text())
    _write_out_patterns(content, mode)
    whole = schemathesis.openapi.from_dict(content)
    if mode is GenerationMode.NEGATIVE:
        return whole, whole
    # Of headers with a pattern the library finds no sound one for its corner cases, and so none of these.
    for parameter in content["components"]["parameters"].values():
        if "example" in parameter:
            parameter["schema"] = {"type": "string", "enum": [parameter["example"]]}
    return schemathesis.openapi.from_dict(content), whole


def _write_out_patterns(content: dict[str, Any], mode: GenerationMode) -> None:
    """Patterns with which the fuzzer cannot work.

    A name's has letters and marks of all scripts, an identifier's all blanks, of which the fuzzer's engine has another
    opinion; for a date's its corner cases are empty.
    """
    schemas = content["components"]["schemas"]
    for text in _texts(content["components"]):
        pattern = text.get("pattern", "")
        if "[^\\s" in pattern:
            text["pattern"] = "^[!-.0-z|~]+$" if mode is GenerationMode.POSITIVE else "^[^ {}]+$"
        if text is schemas.get("Name") or "\\p{" in pattern:
            del text["pattern"]
            if mode is GenerationMode.POSITIVE:
                text["pattern"] = "^[A-Za-z0-9_.,'-]{1,128}$"
    if "Date" in schemas and mode is GenerationMode.POSITIVE:
        schemas["Date"] = {"type": "string", "enum": ["1984-02-29", "2001-12-31"]}


def _texts(described: Any) -> Iterator[dict[str, Any]]:
    """All schemas of texts in a part of a description."""
    if isinstance(described, dict):
        if described.get("type") == "string":
            yield described
        for part in list(described.values()):
            yield from _texts(part)
    elif isinstance(described, list):
        for part in described:
            yield from _texts(part)


def operations(schema: BaseSchema) -> list[AnyOperation]:
    """All that it describes."""
    return [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]


def corner_cases(schema: BaseSchema, operation: AnyOperation, mode: GenerationMode) -> Iterator[AnyCase]:
    """One case for each edge of each constraint; with NEGATIVE also methods that the path does not have."""
    config = schema.config.generation_for(operation=operation)
    yield from schema.iter_coverage_cases(operation, generation_modes=[mode], generation_config=config)


def random_cases(operation: AnyOperation, mode: GenerationMode, count_max: int, number: int) -> list[AnyCase]:
    """Up to that many, by the number; fewer if there are no more."""
    cases: list[AnyCase] = []

    @seed(number)
    @settings(
        max_examples=count_max,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def collect(case: AnyCase) -> None:
        if not _is_an_unknown_parameter(case):
            cases.append(case)

    try:
        collect()
    except Unsatisfiable:
        return []  # e.g. nothing can be wrong with a request that has neither parameters nor a body
    return cases


def _is_an_unknown_parameter(case: AnyCase) -> bool:
    """Whether nothing but a parameter in the query that nobody knows is wrong with it: the hub looks past it."""
    meta = case.meta
    if meta is None or not meta.generation.mode.is_negative:
        return False
    wrong = [location for location, component in meta.components.items() if component.mode.is_negative]
    return wrong == [ParameterLocation.QUERY] and "additionalProperties" in str(meta.phase.data.description)


@dataclass
class Steering:
    """Replaces the sound parts of cases, by a random sequence of its own."""

    random: Random
    accounts: Sequence[Account]
    settlements: Settlements
    transfer_ids: list[str] = field(init=False)
    line_ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.transfer_ids = [self._uuid() for _ in range(12)]

    def steer(self, case: AnyCase) -> AnyCase:
        """The case with its sound parts replaced, as far as they are; mostly."""
        repaired = self._repaired(case)
        sound = {location for location in ParameterLocation if self._is_sound(case, location)} | repaired
        steered = bool(repaired) or self._mostly()
        is_corner = self._is_sound_corner(case)
        if case.headers and ParameterLocation.HEADER in sound and not is_corner:
            self._steer_headers(case, steered=steered)
        if not steered:
            return case
        account = self.random.choice(self.accounts)
        if case.path_parameters and ParameterLocation.PATH in sound:
            self._steer_path(case, account)
        if isinstance(case.body, dict) and ParameterLocation.BODY in sound and not is_corner:
            self._steer_body(case, case.body, account)
        return case

    @staticmethod
    def _is_sound_corner(case: AnyCase) -> bool:
        """Such a case is all about what stands in it, and its headers are good."""
        meta = case.meta
        return meta is not None and meta.phase.name is TestPhase.COVERAGE and not meta.generation.mode.is_negative

    @staticmethod
    def _is_sound(case: AnyCase, location: ParameterLocation) -> bool:
        component = case.meta.components.get(location) if case.meta is not None else None
        return component is not None and component.mode is GenerationMode.POSITIVE

    def _repaired(self, case: AnyCase) -> set[ParameterLocation]:
        """Of a case that is wrong in several places, mostly only the one that is read last stays wrong."""
        components = case.meta.components if case.meta is not None else {}
        wrong = [place for place in READING_ORDER if place in components and components[place].mode.is_negative]
        if not wrong or wrong[-1] is ParameterLocation.QUERY:  # an unknown parameter may be no fault
            return set()
        repaired = set(wrong[:-1]) if self._mostly() else set()
        if ParameterLocation.HEADER in repaired:
            case.headers.clear()
            media_type = MEDIA_TYPE.format(case.path.split("/")[1])
            case.headers.update({"Content-Type": media_type, "Date": "", "FSPIOP-Source": "", "FSPIOP-Destination": ""})
            if case.method in ("GET", "POST", "DELETE"):
                case.headers["Accept"] = media_type
        return repaired

    def _steer_headers(self, case: AnyCase, *, steered: bool) -> None:
        headers = case.headers
        if "Date" in headers:  # always: a pattern cannot tell which days there are
            headers["Date"] = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        if steered and "FSPIOP-Source" in headers:
            headers["FSPIOP-Source"], headers["FSPIOP-Destination"] = self.random.sample(DFSPS, 2)

    def _steer_path(self, case: AnyCase, account: Account) -> None:
        if case.path.startswith("/v2"):
            self.settlements.steer_path(case)
        else:
            for name in case.path_parameters:
                case.path_parameters[name] = self._path_value(case, name, account)

    def _path_value(self, case: AnyCase, name: str, account: Account) -> str:
        if case.path.startswith("/enums"):
            return "settlementDelay"
        if case.path.startswith("/settlementModels"):
            return f"DEFERREDNET{self.random.choice(CURRENCIES)}"
        if name == "file":
            return str(case.path_parameters[name])
        if name == "id":
            return str(account.account_id)
        if name in ("Type", "ID", "SubId") and "Type" in case.path_parameters:
            party = self.random.choice(PARTIES)
            return {"Type": party[0], "ID": party[1], "SubId": "100"}[name]
        if name == "name":
            return account.name if "id" in case.path_parameters else self.random.choice(NAMES)
        return self.random.choice(self.transfer_ids)

    def _steer_body(self, case: AnyCase, body: dict[str, Any], account: Account) -> None:
        values: dict[str, Any] = {
            "transferId": self.random.choice(self.transfer_ids),
            "currency": account.currency,
            "condition": CONDITION,
            "fulfilment": FULFILMENT,
            "expiration": _timestamp(time.time() + self.random.choice((-5, 1, 3, 60))),
            "completedTimestamp": _timestamp(time.time()),
            "ledgerAccountType": "POSITION",
            "settlementDelay": "DEFERRED",
        }
        if "payerFsp" in body:
            values["payerFsp"], values["payeeFsp"] = self.random.sample(DFSPS, 2)
            values["bulkTransferId"] = self.random.choice(self.transfer_ids)
            values["amount"] = self._amount(account)
            for line in body.get("individualTransfers", ()):
                line |= {
                    "transferId": self._uuid(),
                    "transferAmount": self._amount(account),
                    "condition": CONDITION,
                }
            self.line_ids += [line["transferId"] for line in body.get("individualTransfers", ())]
        elif "bulkTransferState" in body:
            for result in body.get("individualTransferResults", ()):
                result["transferId"] = self.random.choice(self.line_ids or self.transfer_ids)
        elif "fspId" in body:
            values["fspId"] = dict(case.headers or {}).get("FSPIOP-Source", DFSPS[0])
        elif set(body) == {"type", "value"}:
            values["type"], values["value"] = self.random.choice(ENDPOINTS)
        elif set(body) == {"type", "currency"}:
            values["type"] = self.random.choice(("HUB_FEE", "HUB_RECONCILIATION", "POSITION"))
        elif "name" in body and "currency" in body and "settlementDelay" not in body:
            values["name"] = self.random.choice(NAMES)
        elif case.path.startswith("/v2/settlements"):
            self.settlements.steer_body(case, body)
        elif "action" in body and "amount" in body:
            body["amount"] = {"currency": account.currency, "amount": self.random.choice((0.5, "12.25", 10**12))}
        body.update({name: value for name, value in values.items() if name in body})

    def _amount(self, account: Account) -> dict[str, str]:
        return {"currency": account.currency, "amount": str(self.random.randint(1, 1_000))}

    def _mostly(self) -> bool:
        return self.random.randrange(10) < STEERED_OF_TEN

    def _uuid(self) -> str:
        digits = f"{self.random.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


def _timestamp(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
