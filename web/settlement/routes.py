"""The index of the settlement API: which handler serves which path."""

from __future__ import annotations

from clearinghub.clock import system_now_ms
from clearinghub.ports import SettlementReader, WindowTransfersReader
from clearinghub.security.roles import Permission
from web.admin.context import AdminContext
from web.admin.routes import GuardedRoutes
from web.reports.settlement import SettlementReportsResource
from web.reports.transfers import WindowTransfersResource
from web.settlement.settlements import SettlementsResource
from web.settlement.windows import WindowsResource


def add_settlement_routes(
    routes: GuardedRoutes,
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
    for permission, method, path, handler in (
        (Permission.READ, "GET", "/settlementWindows", windows.get_windows),
        (Permission.READ, "GET", "/settlementWindows/{id}", windows.get_window),
        (Permission.READ, "GET", "/settlementWindows/{id}/nets", windows.get_nets),
        (Permission.READ, "GET", "/settlementWindows/{id}/report", reports.get_window_report),
        (Permission.READ, "GET", "/settlementWindows/{id}/transfers", transfers.get_transfers),
        (Permission.SETTLE, "POST", "/settlementWindows/{id}", windows.post_window),
        (Permission.READ, "GET", "/settlements", settlements.get_settlements),
        (Permission.SETTLE, "POST", "/settlements", settlements.post_settlements),
        (Permission.READ, "GET", "/settlements/{id}", settlements.get_settlement),
        (Permission.READ, "GET", "/settlements/{id}/report", reports.get_settlement_report),
        (Permission.SETTLE, "PUT", "/settlements/{id}", settlements.put_settlement),
        (Permission.READ, "GET", "/settlements/{id}/participants/{pid}", settlements.get_participant),
        (Permission.SETTLE, "PUT", "/settlements/{id}/participants/{pid}", settlements.put_participant),
        (Permission.READ, "GET", "/settlements/{id}/participants/{pid}/accounts/{aid}", settlements.get_account),
        (Permission.SETTLE, "PUT", "/settlements/{id}/participants/{pid}/accounts/{aid}", settlements.put_account),
    ):
        routes.add(permission, method, base_path + path, handler)
