"""web/openapi/fspiop-agreement.yaml against the code, as test_openapi.py does with the others."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import TypeAdapter

from clearinghub.config import Settings
from clearinghub.domain.currencies import CURRENCIES
from clearinghub.domain.quotes.agreement import ENDPOINTS
from tests.web.test_openapi import AGREEMENT, resolved
from web.fspiop import quotes_schemas as agreement_models
from web.fspiop import schemas as models
from web.fspiop.quotes import DESCRIPTIONS

PRIMITIVES: dict[str, Any] = {
    "CorrelationId": models.CorrelationId,
    "DateTime": models.DateTime,
    "AmountText": models.AmountText,
    "Name": agreement_models.Name,
    "Date": agreement_models.Date,
    "PartyIdType": agreement_models.PartyIdType,
    "Code": agreement_models.Code,
    "AuthenticationValue": agreement_models.AuthenticationValue,
}


def without_currencies(schema: Any) -> Any:
    """The models leave the codes to the scheme's settings."""
    if isinstance(schema, list):
        return [without_currencies(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("enum") == sorted(CURRENCIES):
        return {"type": "string", "minLength": 3, "maxLength": 3}
    return {key: without_currencies(value) for key, value in schema.items()}


def body_of(path: str, method: str) -> Any:
    resource = path.split("/")[1]
    [(media_type, content)] = AGREEMENT["paths"][path][method]["requestBody"]["content"].items()
    assert f"application/vnd.interoperability.{resource}+json;version=1.1" == media_type
    return without_currencies(resolved(content["schema"], AGREEMENT))


def generated(model: TypeAdapter[Any]) -> Any:
    schema = model.json_schema()
    return resolved(schema, schema)


@pytest.mark.parametrize("one", DESCRIPTIONS, ids=lambda one: one.resource)
def test_bodies(one: Any) -> None:
    path = f"/{one.resource}"
    if one.request is not None:
        assert generated(one.request) == body_of(path, "post")
    assert generated(one.answer) == body_of(path + "/{ID}", "put")
    assert generated(TypeAdapter(models.ErrorInformationObject)) == body_of(path + "/{ID}/error", "put")


@pytest.mark.parametrize("name", PRIMITIVES)
def test_primitives(name: str) -> None:
    schema = resolved(AGREEMENT["components"]["schemas"][name], AGREEMENT)
    assert resolved(TypeAdapter(PRIMITIVES[name]).json_schema(), {}) == schema


@pytest.mark.parametrize("resource", ENDPOINTS)
def test_versions(resource: str) -> None:
    settings = Settings()
    parameters = AGREEMENT["components"]["parameters"]
    for name, supported in (
        ("Accept", settings.accept_versions_of(resource)),
        ("Content-Type", settings.content_versions_of(resource)),
    ):
        pattern = re.compile(parameters[f"{name}-{resource}"]["schema"]["pattern"])
        for candidate in ("0", "1", "1.0", "1.1", "1.2", "2", "2.0", "2.1", "3"):
            value = f"application/vnd.interoperability.{resource}+json;version={candidate}"
            assert (candidate in supported) == bool(pattern.search(value)), (name, candidate)


def test_every_resource_of_the_decision_has_its_description() -> None:
    assert set(ENDPOINTS) == {one.resource for one in DESCRIPTIONS}
