"""web/openapi/ against the code: the same routes, the same models, the same patterns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp.web import Application
from pydantic import TypeAdapter

from clearinghub.config import Settings
from clearinghub.domain.currencies import CURRENCIES
from clearinghub.domain.errors import DESCRIPTION_LENGTH_MAX
from tests.fakes import FakeHealth, FakeParticipants, FakeRecorder
from tests.in_memory_hub import InMemoryHub
from tests.in_memory_ports import InMemoryPorts, admin_app
from tests.web.admin_world import MODEL, Operator
from web.admin import approvals, credentials, features, operators, oracles, statement
from web.admin import schemas as bodies
from web.admin.schema_types import TransferId
from web.fspiop import schemas as models
from web.fspiop.app import build_fspiop_app
from web.reports import settlement as settlement_reports
from web.reports import transfers
from web.settlement import schemas as settlement_bodies
from web.settlement import windows as settlement_windows

FOLDER = Path(__file__).parents[2] / "web" / "openapi"
FSPIOP: Mapping[str, Any] = yaml.safe_load((FOLDER / "fspiop-transfers.yaml").read_text())
AGREEMENT: Mapping[str, Any] = yaml.safe_load((FOLDER / "fspiop-agreement.yaml").read_text())
PARTIES: Mapping[str, Any] = yaml.safe_load((FOLDER / "fspiop-parties.yaml").read_text())
ADMIN: Mapping[str, Any] = yaml.safe_load((FOLDER / "admin.yaml").read_text())
# What says nothing about which values there are.
PROSE = frozenset({"title", "description", "example", "$defs"})
METHODS = frozenset({"get", "post", "put", "patch", "delete", "head", "options"})


def routes(app: Application) -> set[tuple[str, str]]:
    """Every route but HEAD, which follows from GET."""
    found = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource is not None}
    return {(method, path) for method, path in found if method != "HEAD"}


def operations(description: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, item in description["paths"].items():
        for method in METHODS & set(item):
            yield method.upper(), path, item[method]


def resolved(node: Any, whole: Mapping[str, Any], *, name: str = "") -> Any:
    """A schema with what it refers to in its place, without prose, and with nothing but order to choose left."""
    if isinstance(node, list):
        items = [resolved(item, whole) for item in node]
        return sorted(items) if name in ("required", "enum") else items
    if not isinstance(node, dict):
        return node.removeprefix("(?-u)") if name == "pattern" else node
    if "$ref" in node:
        target: Any = whole
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return resolved(target, whole)
    if name == "properties":
        return {key: resolved(value, whole) for key, value in node.items()}
    return {key: resolved(value, whole, name=key) for key, value in node.items() if key not in PROSE}


def schema_of(description: Mapping[str, Any], name: str) -> Any:
    return resolved(description["components"]["schemas"][name], description)


def test_every_fspiop_route_is_described_and_no_other() -> None:
    app = build_fspiop_app(
        Settings(), FakeRecorder(), FakeHealth(), participants=FakeParticipants.of("payerfsp", "payeefsp")
    )

    described = {(method, path) for part in (FSPIOP, AGREEMENT, PARTIES) for method, path, _ in operations(part)}
    assert routes(app) == described


def test_every_admin_route_is_described_and_no_other() -> None:
    hub = InMemoryHub()
    app = admin_app(hub, InMemoryPorts(hub))

    assert routes(app) == {(method, path) for method, path, _ in operations(ADMIN)}


@pytest.mark.parametrize(
    "name",
    ["CorrelationId", "FspId", "AmountText", "DateTime", "IlpPacket", "IlpHash", "ErrorCodeText", "ErrorDescription"],
)
def test_fspiop_primitives(name: str) -> None:
    assert resolved(TypeAdapter(getattr(models, name)).json_schema(), {}) == schema_of(FSPIOP, name)


def with_known_currencies(schema: Any) -> Any:
    """The models leave the codes to the scheme's settings."""
    if "currency" in schema["properties"]:
        assert sorted(CURRENCIES) == schema["properties"]["currency"].pop("enum")
    return schema


@pytest.mark.parametrize("name", ["NewOracle", "OracleChange"])
def test_oracle_models(name: str) -> None:
    generated = TypeAdapter(getattr(oracles, name)).json_schema()
    schema = resolved(generated, generated)
    schema["properties"]["currency"] = {"type": "string"}  # the description's has its codes, which have a length
    endpoint = schema["properties"]["endpoint"]["properties"]["endpointType"]
    endpoint["enum"] = [endpoint.pop("const")]

    assert schema == with_known_currencies(schema_of(ADMIN, name))


@pytest.mark.parametrize(
    ("description", "resource", "suffix"),
    [
        (FSPIOP, "transfers", ""),
        (FSPIOP, "bulkTransfers", "-bulkTransfers"),
        (PARTIES, "parties", "-parties"),
        (PARTIES, "participants", "-participants"),
    ],
    ids=["transfers", "bulkTransfers", "parties", "participants"],
)
def test_fspiop_versions(description: Mapping[str, Any], resource: str, suffix: str) -> None:
    patterns = {
        name: re.compile(parameter["schema"]["pattern"])
        for name, parameter in description["components"]["parameters"].items()
        if "pattern" in parameter["schema"]
    }
    media = f"application/vnd.interoperability.{resource}+json;version="

    for candidate in ("0", "1", "1.0", "1.1", "1.2", "2", "2.0", "2.1", "3"):
        settings = Settings()
        for name, supported in (("Accept", settings.accept_versions), ("Content-Type", settings.content_versions)):
            pattern = patterns[name + suffix]
            assert (candidate in supported) == bool(pattern.search(media + candidate)), (name, candidate)


ADMIN_BODIES: list[tuple[str, str, Any]] = [
    ("POST", "/participants", bodies.NewParticipant),
    ("PUT", "/participants/{name}", bodies.Activity),
    ("POST", "/participants/{name}/endpoints", bodies.Endpoint),
    ("POST", "/participants/{name}/credentials", credentials.NewCredentialBody),
    ("PUT", "/participants/{name}/credentials/{id}", credentials.CredentialChange),
    ("POST", "/participants/{name}/initialPositionAndLimits", bodies.InitialLimit),
    ("PUT", "/participants/{name}/limits", bodies.Limit),
    ("POST", "/participants/{name}/accounts", bodies.HubAccount),
    ("PUT", "/participants/{name}/accounts/{id}", bodies.Activity),
    ("POST", "/participants/{name}/accounts/{id}", bodies.Funds),
    ("PUT", "/participants/{name}/accounts/{id}/transfers/{transferId}", bodies.FundsOutCompletion),
    ("PUT", "/features", features.NewLevel),
    ("PUT", "/operators/{name}", operators.NewOperator),
    ("PUT", "/approvals/{id}", approvals.Decision),
    ("POST", "/settlementModels", bodies.NewSettlementModel),
    ("PUT", "/settlementModels/{name}", bodies.Activity),
    ("POST", "/ledgerAccountTypes", bodies.NewLedgerAccountType),
    ("POST", "/v2/settlementWindows/{id}", settlement_bodies.WindowClosing),
    ("POST", "/v2/settlements", settlement_bodies.NewSettlement),
    ("PUT", "/v2/settlements/{id}/participants/{pid}", settlement_bodies.ParticipantChange),
    ("PUT", "/v2/settlements/{id}/participants/{pid}/accounts/{aid}", settlement_bodies.AccountChange),
]


def generated(model: Any) -> Any:
    """Return the JSON Schema of a model, in the form of the description: one value is an enumeration too."""
    schema = TypeAdapter(model).json_schema()
    return with_enumerations(resolved(schema, schema))


def with_enumerations(node: Any) -> Any:
    if isinstance(node, list):
        return [with_enumerations(one) for one in node]
    if not isinstance(node, dict):
        return node
    changed = {key: with_enumerations(value) for key, value in node.items()}
    if "const" in changed:
        changed["enum"] = [changed.pop("const")]
    return changed


def without_codes(node: Any) -> Any:
    """Return a schema without the codes of currencies, which the models leave to the scheme's settings."""
    if isinstance(node, list):
        return [without_codes(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {key: without_codes(value) for key, value in node.items() if key != "enum" or value != sorted(CURRENCIES)}


@pytest.mark.parametrize(("method", "path", "model"), ADMIN_BODIES, ids=str)
def test_admin_bodies(method: str, path: str, model: Any) -> None:
    content = ADMIN["paths"][path][method.lower()]["requestBody"]["content"]

    assert ["application/json"] == list(content)
    assert generated(model) == without_codes(resolved(content["application/json"]["schema"], ADMIN))


def test_no_admin_body_is_forgotten() -> None:
    with_body = {(method, path) for method, path, operation in operations(ADMIN) if "requestBody" in operation}

    of_models = {("POST", "/oracles"), ("PUT", "/oracles/{id}")}
    of_alternatives = {("PUT", "/v2/settlements/{id}")}
    assert with_body == {(method, path) for method, path, _ in ADMIN_BODIES} | of_models | of_alternatives


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/participants", bodies.ParticipantsQuery),
        ("/participants/limits", bodies.LimitsQuery),
        ("/participants/{name}/limits", bodies.LimitsQuery),
        ("/participants/{name}/positions", bodies.PositionsQuery),
        ("/participants/{name}/accounts/{id}/statement", statement.StatementQuery),
        ("/v2/settlementWindows", settlement_bodies.WindowsQuery),
        ("/v2/settlements", settlement_bodies.SettlementsQuery),
        ("/v2/settlementWindows/{id}/nets", settlement_windows.NetsQuery),
        ("/v2/settlementWindows/{id}/report", settlement_reports.ReportQuery),
        ("/v2/settlementWindows/{id}/transfers", transfers.TransfersQuery),
        ("/v2/settlements/{id}/report", settlement_reports.ReportQuery),
    ],
)
def test_admin_queries(path: str, model: Any) -> None:
    parameters = [resolved(one, ADMIN) for one in ADMIN["paths"][path]["get"]["parameters"]]
    parameters = [one for one in parameters if one["in"] == "query"]
    schema = generated(model)

    assert schema["properties"] == {one["name"]: without_codes(one["schema"]) for one in parameters}
    assert schema["additionalProperties"] is False
    assert schema.get("required", []) == [one["name"] for one in parameters if "required" in one]


def test_admin_ids() -> None:
    assert resolved(TypeAdapter(TransferId).json_schema(), {}) == schema_of(ADMIN, "TransferId")
    assert sorted(CURRENCIES) == schema_of(ADMIN, "Currency")["enum"]


@pytest.mark.parametrize(
    "description", [FSPIOP, AGREEMENT, PARTIES, ADMIN], ids=["fspiop", "agreement", "parties", "admin"]
)
def test_every_error_is_an_error_information(description: Mapping[str, Any]) -> None:
    for method, path, operation in operations(description):
        for status, response in operation["responses"].items():
            if status < "400" or path.endswith(("/health", "/ready")):
                continue
            schema = resolved(response, description)["content"]["application/json"]["schema"]
            information = schema["properties"]["errorInformation"]
            assert (["errorInformation"], ["errorCode", "errorDescription"]) == (
                schema["required"],
                information["required"],
            ), (method, path, status)
            assert DESCRIPTION_LENGTH_MAX == information["properties"]["errorDescription"]["maxLength"]


async def test_what_the_admin_api_shows_has_the_described_keys(operator: Operator) -> None:
    await operator.currency()
    await operator.dfsp()
    oracle = {"oracleIdType": "MSISDN", "endpoint": {"value": "http://a", "endpointType": "URL"}}
    await operator.post("/oracles", oracle)
    await operator.post("/participants/dfsp/endpoints", {"type": "FSPIOP_CALLBACK_URL_QUOTES", "value": "http://a"})

    for path, described_at, name in (
        ("/participants/dfsp", "/participants/{name}", "Participant"),
        ("/participants/dfsp/accounts", "/participants/{name}/accounts", "Account"),
        ("/participants/dfsp/endpoints", None, "Endpoint"),
        ("/participants/dfsp/limits", "/participants/{name}/limits", "CurrencyLimit"),
        ("/participants/limits", "/participants/limits", "ParticipantLimit"),
        ("/participants/dfsp/positions?currency=USD", None, "Position"),
        (f"/settlementModels/{MODEL['name']}", "/settlementModels/{name}", "SettlementModel"),
        ("/ledgerAccountTypes", "/ledgerAccountTypes", "LedgerAccountType"),
        ("/oracles", "/oracles", "Oracle"),
    ):
        shown = (await operator.get(path)).json
        one = shown[0] if isinstance(shown, list) else shown
        schema = schema_of(ADMIN, name)
        assert (sorted(one), schema["required"]) == (sorted(schema["properties"]), sorted(one)), path
        if described_at is not None:
            answer = ADMIN["paths"][described_at]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            assert schema == resolved(answer.get("items", answer), ADMIN), path
    tables = (await operator.get("/enums")).json
    assert sorted(tables) == schema_of(ADMIN, "Enums")["required"]
