"""/oracles: the services that know which FSP has a party (protocol 6.1).

In the reference these paths belong to the account lookup's admin API, with the checks and codes of FSPIOP: a wrong
value is 3100 here, and 3101 in the rest of the admin API.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NotRequired, TypeVar

from aiohttp.web import Request, Response
from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic takes typing's only from Python 3.12 on

from clearinghub.domain.currencies import currencies_with
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.endpoints import check_base_url
from clearinghub.domain.participants.participant import Oracle, OracleDefinition, OracleFields
from clearinghub.messages.commands import AddOracle, ChangeOracle, RemoveOracle
from web.admin.context import AdminContext, json_response
from web.admin.schemas import id_in_path
from web.fspiop.schema_errors import first_rejection
from web.fspiop.schemas import Currency
from web.http.errors import ApiError
from web.http.json_body import read_json_body

Body = TypeVar("Body")

OracleIdType = Literal[
    "MSISDN", "EMAIL", "PERSONAL_ID", "BUSINESS", "DEVICE", "ACCOUNT_ID", "IBAN", "ALIAS", "CONSENT", "THIRD_PARTY_LINK"
]
_NO_ACCEPT: Final = Rejection(ErrorCode.MISSING_ELEMENT, "/header must have required property 'accept'")
_NOT_JSON: Final = Rejection(ErrorCode.MALFORMED_SYNTAX, "Unsupported Media Type")


class OracleEndpoint(TypedDict):
    """An oracle's URL and its type."""

    value: Annotated[str, Field(min_length=1, max_length=512)]
    endpointType: Literal["URL"]


class NewOracle(TypedDict):
    """The body of POST /oracles."""

    oracleIdType: OracleIdType
    endpoint: OracleEndpoint
    currency: NotRequired[Currency]
    isDefault: NotRequired[bool]


class OracleChange(TypedDict):
    """The body of PUT /oracles/{ID}."""

    oracleIdType: NotRequired[OracleIdType]
    endpoint: NotRequired[OracleEndpoint]
    currency: NotRequired[Currency]
    isDefault: NotRequired[bool]


_NEW: Final = TypeAdapter(NewOracle)
_CHANGE: Final = TypeAdapter(OracleChange)


class OraclesResource:
    """Handlers of /oracles and /oracles/{ID}."""

    def __init__(self, context: AdminContext) -> None:
        self._context = context
        self._currencies = currencies_with(context.settings.currencies_extra)

    async def get_oracles(self, request: Request) -> Response:
        """Answer with the oracles of the type and the currency in the query; without them, with all."""
        id_type, currency = request.query.get("type"), request.query.get("currency")
        hub = self._context.hub
        found = [
            _shape(one)
            for one in (() if hub is None else hub.oracles)
            if id_type in (None, one.id_type) and currency in (None, one.currency)
        ]
        return json_response(found)

    async def post_oracle(self, request: Request) -> Response:
        """Register an oracle: from now on it is queried for its type, in place of the built-in oracle."""
        if "Accept" not in request.headers:
            raise ApiError(_NO_ACCEPT)
        body = await self._read(request, _NEW)
        oracle = OracleDefinition(
            body["oracleIdType"],
            self._url(body["endpoint"]),
            body["endpoint"]["endpointType"],
            body.get("currency"),
            body.get("isDefault", False),
        )
        await self._context.change(self._context.hub_name, AddOracle(oracle=oracle))
        return Response(status=201)

    async def put_oracle(self, request: Request) -> Response:
        """Replace those fields of an oracle that the body has."""
        oracle_id = id_in_path(request)
        body = await self._read(request, _CHANGE)
        endpoint = body.get("endpoint")
        change = OracleFields(
            body.get("oracleIdType"),
            None if endpoint is None else self._url(endpoint),
            None if endpoint is None else endpoint["endpointType"],
            body.get("currency"),
            body.get("isDefault"),
        )
        await self._context.change(self._context.hub_name, ChangeOracle(oracle_id=oracle_id, change=change))
        return Response(status=204)

    async def delete_oracle(self, request: Request) -> Response:
        await self._context.change(self._context.hub_name, RemoveOracle(oracle_id=id_in_path(request)))
        return Response(status=204)

    def _url(self, endpoint: OracleEndpoint) -> str:
        """Return the URL of an oracle.

        Raises:
            ApiError: it is none that the hub would call (3100).
        """
        fault = check_base_url(endpoint["value"])
        if fault is not None:
            raise ApiError(fault)
        self._context.check_destination(endpoint["value"])
        return endpoint["value"]

    async def _read(self, request: Request, adapter: TypeAdapter[Body]) -> Body:
        if request.content_type != "application/json" and not request.content_type.endswith("+json"):
            raise ApiError(_NOT_JSON)  # what a web page's form could send to a hub on the same machine
        body = await read_json_body(request)
        try:
            return adapter.validate_python(body.parsed, strict=True, context=self._currencies)
        except ValidationError as error:
            raise ApiError(first_rejection(error)) from error


def _shape(oracle: Oracle) -> dict[str, Any]:
    """Return an oracle as it is shown; the flag is a number, as in the reference."""
    return {
        "oracleId": oracle.oracle_id,
        "oracleIdType": oracle.id_type,
        "endpoint": {"value": oracle.url, "endpointType": oracle.endpoint_type},
        "currency": oracle.currency,
        "isDefault": int(oracle.is_default),
    }
