"""The settlement API's paths."""

from __future__ import annotations

from aiohttp.web import Application

from clearinghub.ports import SettlementReader
from web.admin.context import AdminContext
from web.settlement.bodies import Queries
from web.settlement.settlements import SettlementsResource
from web.settlement.windows import WindowsResource


def add_settlement_routes(app: Application, base_path: str, context: AdminContext, reader: SettlementReader) -> None:
    """Serve the settlement API below `base_path`."""
    queries = Queries(context.settings.currencies_extra)
    windows = WindowsResource(context, reader, queries)
    settlements = SettlementsResource(context, reader, queries)
    for method, path, handler in (
        ("GET", "/settlementWindows", windows.get_windows),
        ("GET", "/settlementWindows/{id}", windows.get_window),
        ("GET", "/settlementWindows/{id}/nets", windows.get_nets),
        ("POST", "/settlementWindows/{id}", windows.post_window),
        ("GET", "/settlements", settlements.get_settlements),
        ("POST", "/settlements", settlements.post_settlements),
        ("GET", "/settlements/{id}", settlements.get_settlement),
        ("PUT", "/settlements/{id}", settlements.put_settlement),
        ("GET", "/settlements/{id}/participants/{pid}", settlements.get_participant),
        ("PUT", "/settlements/{id}/participants/{pid}", settlements.put_participant),
        ("GET", "/settlements/{id}/participants/{pid}/accounts/{aid}", settlements.get_account),
        ("PUT", "/settlements/{id}/participants/{pid}/accounts/{aid}", settlements.put_account),
    ):
        app.router.add_route(method, base_path + path, handler)
