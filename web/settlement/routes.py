"""The index of the settlement API: which handler serves which path."""

from __future__ import annotations

from aiohttp.web import Application

from clearinghub.clock import system_now_ms
from clearinghub.ports import SettlementReader, WindowTransfersReader
from web.admin.context import AdminContext
from web.reports.settlement import SettlementReportsResource
from web.reports.transfers import WindowTransfersResource
from web.settlement.settlements import SettlementsResource
from web.settlement.windows import WindowsResource


def add_settlement_routes(
    app: Application,
    base_path: str,
    context: AdminContext,
    reader: SettlementReader,
    window_transfers: WindowTransfersReader,
) -> None:
    """Serve the settlement API and its reports below `base_path`."""
    windows = WindowsResource(context, reader)
    settlements = SettlementsResource(context, reader)
    reports = SettlementReportsResource(context.hub_name, reader, system_now_ms)
    transfers = WindowTransfersResource(context.hub_name, base_path, reader, window_transfers, system_now_ms)
    for method, path, handler in (
        ("GET", "/settlementWindows", windows.get_windows),
        ("GET", "/settlementWindows/{id}", windows.get_window),
        ("GET", "/settlementWindows/{id}/nets", windows.get_nets),
        ("GET", "/settlementWindows/{id}/report", reports.get_window_report),
        ("GET", "/settlementWindows/{id}/transfers", transfers.get_transfers),
        ("POST", "/settlementWindows/{id}", windows.post_window),
        ("GET", "/settlements", settlements.get_settlements),
        ("POST", "/settlements", settlements.post_settlements),
        ("GET", "/settlements/{id}", settlements.get_settlement),
        ("GET", "/settlements/{id}/report", reports.get_settlement_report),
        ("PUT", "/settlements/{id}", settlements.put_settlement),
        ("GET", "/settlements/{id}/participants/{pid}", settlements.get_participant),
        ("PUT", "/settlements/{id}/participants/{pid}", settlements.put_participant),
        ("GET", "/settlements/{id}/participants/{pid}/accounts/{aid}", settlements.get_account),
        ("PUT", "/settlements/{id}/participants/{pid}/accounts/{aid}", settlements.put_account),
    ):
        app.router.add_route(method, base_path + path, handler)
