"""The bodies of the FSPIOP surface: the models of web/fspiop/ against the description, by their names and by paths."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pytest
from pydantic import TypeAdapter
from typing_extensions import is_typeddict

from tests.web.test_openapi import AGREEMENT, FSPIOP, PARTIES, operations, resolved, schema_of
from tests.web.test_openapi_agreement import without_currencies
from web.fspiop import bulk_schemas as bulk_models
from web.fspiop import parties_schemas as party_models
from web.fspiop import quotes_schemas as agreement_models
from web.fspiop import schemas as models
from web.fspiop.quotes import DESCRIPTIONS

DESCRIBED: list[tuple[ModuleType, Mapping[str, Any]]] = [
    (models, FSPIOP),
    (bulk_models, FSPIOP),
    (party_models, PARTIES),
    (agreement_models, AGREEMENT),
]
BODIES: dict[str, dict[str, Any]] = {
    "/transfers": {"post": models.TransferPrepare},
    "/transfers/{ID}": {"put": models.TransferFulfil},
    "/transfers/{ID}/error": {"put": models.ErrorInformationObject},
    "/bulkTransfers": {"post": bulk_models.BulkTransferPrepare},
    "/bulkTransfers/{ID}": {"put": bulk_models.BulkTransferFulfil},
    "/bulkTransfers/{ID}/error": {"put": models.ErrorInformationObject},
    "/participants": {"post": party_models.ParticipantBatch},
    "/participants/{ID}": {"put": party_models.ParticipantBatchAnswer},
    "/participants/{ID}/error": {"put": party_models.PartyError},
    **{
        f"/{resource}/{{Type}}/{{ID}}{tail}": bodies
        for tail in ("", "/{SubId}")
        for resource, bodies in (
            ("parties", {"put": party_models.PartyAnswer}),
            ("participants", {"post": party_models.ParticipantEntry, "put": party_models.ParticipantAnswer}),
        )
    },
    **{
        f"/{resource}/{{Type}}/{{ID}}{tail}/error": {"put": party_models.PartyError}
        for tail in ("", "/{SubId}")
        for resource in ("parties", "participants")
    },
}
"""All but those of test_openapi_agreement.py, which are generated from its resources."""


def generated(model: Any) -> Any:
    schema = TypeAdapter(model).json_schema()
    return resolved(schema, schema)


@pytest.mark.parametrize(
    ("model", "description"),
    [
        pytest.param(model, description, id=f"{module.__name__}.{name}")
        for module, description in DESCRIBED
        for name, model in vars(module).items()
        if is_typeddict(model) and model.__module__ == module.__name__
    ],
)
def test_every_model_is_described_by_its_name(model: Any, description: Mapping[str, Any]) -> None:
    assert generated(model) == without_currencies(schema_of(description, model.__name__))


@pytest.mark.parametrize(("path", "method"), [(path, method) for path, bodies in BODIES.items() for method in bodies])
def test_every_body_has_its_model(path: str, method: str) -> None:
    description = FSPIOP if path in FSPIOP["paths"] else PARTIES
    [(media_type, content)] = description["paths"][path][method]["requestBody"]["content"].items()

    assert f"application/vnd.interoperability.{path.split('/')[1]}+json;version=1.1" == media_type
    assert generated(BODIES[path][method]) == without_currencies(resolved(content["schema"], description))
    assert description["paths"][path][method]["requestBody"]["required"] is True


def test_no_body_is_forgotten() -> None:
    with_body = {
        (method.lower(), path)
        for description in (FSPIOP, PARTIES, AGREEMENT)
        for method, path, operation in operations(description)
        if "requestBody" in operation
    }
    of_agreement = {("put", f"/{one.resource}/{{ID}}{tail}") for one in DESCRIPTIONS for tail in ("", "/error")}
    of_agreement |= {("post", f"/{one.resource}") for one in DESCRIPTIONS if one.request is not None}

    assert {(method, path) for path, bodies in BODIES.items() for method in bodies} | of_agreement == with_body
