"""GET /transactions/{id}: the Transaction that the parties agreed on, as the transfer's ILP packet carries it."""

from __future__ import annotations

from typing import Final

from aiohttp.web import Request, Response

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.transfers.ilp import transaction_of
from clearinghub.ports import PacketReader
from web.admin.context import json_response
from web.http.errors import ApiError

_NOT_FOUND: Final = Rejection(ErrorCode.ID_NOT_FOUND, "The requested resource could not be found")


class TransactionsResource:
    """Serves GET /transactions/{id} from what the payer sent."""

    def __init__(self, packets: PacketReader) -> None:
        self._packets = packets

    async def get_transaction(self, request: Request) -> Response:
        """Answer with the Transaction object, or 3200 if there is none (protocol 5.3)."""
        packet = await self._packets.ilp_packet(request.match_info["id"])
        transaction = None if packet is None else transaction_of(packet)
        if transaction is None:
            raise ApiError(_NOT_FOUND)
        return json_response(transaction)
