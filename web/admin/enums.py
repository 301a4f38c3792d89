"""The tables of names and numbers that clients of the reference look up (protocol 5.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiohttp.web import Request, Response

from clearinghub.domain.participants.endpoints import ENDPOINT_TYPES
from clearinghub.domain.participants.scheme import DELAYS, GRANULARITIES, INTERCHANGES, ledger_account_types
from clearinghub.domain.transfers.transfer import State
from web.admin.context import AdminContext, json_response
from web.admin.participants import RESOURCE_NOT_FOUND
from web.admin.schemas import NET_DEBIT_CAP
from web.http.errors import ApiError

LEDGER_ENTRY_TYPES: Final = (
    "PRINCIPLE_VALUE",
    "INTERCHANGE_FEE",
    "HUB_FEE",
    "POSITION_DEPOSIT",
    "POSITION_WITHDRAWAL",
    "SETTLEMENT_NET_RECIPIENT",
    "SETTLEMENT_NET_SENDER",
    "SETTLEMENT_NET_ZERO",
    "RECORD_FUNDS_IN",
    "RECORD_FUNDS_OUT",
)
PARTICIPANT_ROLES: Final = (
    "PAYER_DFSP",
    "PAYEE_DFSP",
    "HUB",
    "DFSP_SETTLEMENT",
    "DFSP_POSITION",
    "INITIATING_FSP",
    "COUNTER_PARTY_FSP",
)


class EnumsResource:
    """Handlers of /enums and /enums/{id}."""

    def __init__(self, context: AdminContext) -> None:
        self._context = context

    async def get_enums(self, _request: Request) -> Response:
        return json_response(self._tables())

    async def get_enum(self, request: Request) -> Response:
        table = self._tables().get(request.match_info["id"])
        if table is None:
            raise ApiError(RESOURCE_NOT_FOUND)
        return json_response(table)

    def _tables(self) -> Mapping[str, Any]:
        hub = self._context.hub
        return {
            "endpointType": {name: name for name in sorted(ENDPOINT_TYPES)},
            "hubParticipant": {
                "name": self._context.hub_name,
                "participantId": None if hub is None else hub.participant_id,
            },
            "ledgerAccountType": _numbered(kind.name for kind in ledger_account_types(hub)),
            "ledgerEntryType": _numbered(LEDGER_ENTRY_TYPES),
            "participantLimitType": _numbered([NET_DEBIT_CAP]),
            "settlementDelay": _numbered(DELAYS),
            "settlementGranularity": _numbered(GRANULARITIES),
            "settlementInterchange": _numbered(INTERCHANGES),
            "transferParticipantRoleType": _numbered(PARTICIPANT_ROLES),
            "transferState": {state.value: state.value for state in State},
            "transferStateEnum": {state.value: state.enumeration for state in State},
        }


def _numbered(names: Iterable[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(names, start=1)}
