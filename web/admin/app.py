"""The admin application: the HTTP API of the scheme's operators and their tools."""

from __future__ import annotations

from aiohttp.web import Application

from clearinghub import __version__
from clearinghub.config import Settings
from clearinghub.ports import (
    CommandClient,
    FrontHealth,
    LedgerReader,
    PacketReader,
    Participants,
    Partitions,
    Processes,
    SettlementReader,
    StatementReader,
    WindowTransfersReader,
)
from web.admin.accounts import AccountsResource
from web.admin.context import AdminContext
from web.admin.credentials import CredentialsResource
from web.admin.enums import EnumsResource
from web.admin.features import FeaturesResource
from web.admin.limits import LimitsResource
from web.admin.models import ModelsResource
from web.admin.oracles import OraclesResource
from web.admin.origin import make_origin_middleware
from web.admin.participants import ParticipantsResource
from web.admin.partitions import PartitionsResource
from web.admin.statement import StatementResource
from web.admin.transactions import TransactionsResource
from web.documentation.page import add_documentation_routes
from web.http.errors import make_error_middleware
from web.http.operations import add_operations_routes, add_readiness_route, make_metrics_middleware
from web.settlement.routes import add_settlement_routes


def build_admin_app(  # noqa: PLR0913 - one port for each of its sources
    settings: Settings,
    commands: CommandClient,
    participants: Participants,
    ledger: LedgerReader,
    packets: PacketReader,
    statements: StatementReader,
    settlement: SettlementReader,
    health: FrontHealth,
    *,
    window_transfers: WindowTransfersReader,
    processes: Processes,
    partitions: Partitions,
) -> Application:
    """Return the application. It authenticates nobody: it must be reachable from the network of the operators only."""
    app = Application(
        client_max_size=settings.body_bytes_max,
        middlewares=[make_metrics_middleware(), make_error_middleware(), make_origin_middleware(settings)],
    )
    context = AdminContext(settings, commands, participants, ledger)
    _add_routes(app, context)
    statement = StatementResource(context, statements)
    app.router.add_route("GET", "/participants/{name}/accounts/{id}/statement", statement.get_statement)
    app.router.add_get("/transactions/{id}", TransactionsResource(packets).get_transaction, allow_head=False)
    features = FeaturesResource(context, processes)
    app.router.add_route("GET", "/features", features.get_features)
    app.router.add_route("PUT", "/features", features.put_features)
    app.router.add_get("/partitions", PartitionsResource(partitions).get_partitions, allow_head=False)
    add_settlement_routes(app, settings.settlement_base_path, context, settlement, window_transfers)
    add_operations_routes(app, health, __version__, base_paths=("", settings.settlement_base_path))
    add_readiness_route(app, health, __version__)
    add_documentation_routes(app, "admin")
    return app


def _add_routes(app: Application, context: AdminContext) -> None:
    """Add the paths of the API; a fixed path comes before a path with a name in the same place."""
    participants = ParticipantsResource(context)
    credentials = CredentialsResource(context)
    limits = LimitsResource(context)
    accounts = AccountsResource(context)
    models = ModelsResource(context)
    oracles = OraclesResource(context)
    enums = EnumsResource(context)
    add = app.router.add_route

    add("GET", "/participants", participants.get_participants)
    add("POST", "/participants", participants.post_participants)
    add("GET", "/participants/limits", limits.get_limits_of_all)
    add("GET", "/participants/{name}", participants.get_participant)
    add("PUT", "/participants/{name}", participants.put_participant)
    add("GET", "/participants/{name}/endpoints", participants.get_endpoints)
    add("POST", "/participants/{name}/endpoints", participants.post_endpoints)

    add("GET", "/participants/{name}/credentials", credentials.get_credentials)
    add("POST", "/participants/{name}/credentials", credentials.post_credential)
    add("PUT", "/participants/{name}/credentials/{id}", credentials.put_credential)

    add("POST", "/participants/{name}/initialPositionAndLimits", limits.post_initial_limit)
    add("GET", "/participants/{name}/limits", limits.get_limits)
    add("PUT", "/participants/{name}/limits", limits.put_limits)
    add("GET", "/participants/{name}/positions", limits.get_positions)

    add("GET", "/participants/{name}/accounts", accounts.get_accounts)
    add("POST", "/participants/{name}/accounts", accounts.post_accounts)
    add("PUT", "/participants/{name}/accounts/{id}", accounts.put_account)
    add("POST", "/participants/{name}/accounts/{id}", accounts.post_funds)
    add("PUT", "/participants/{name}/accounts/{id}/transfers/{transferId}", accounts.put_funds)

    add("GET", "/settlementModels", models.get_models)
    add("POST", "/settlementModels", models.post_models)
    add("GET", "/settlementModels/{name}", models.get_model)
    add("PUT", "/settlementModels/{name}", models.put_model)
    add("GET", "/ledgerAccountTypes", models.get_account_types)
    add("POST", "/ledgerAccountTypes", models.post_account_types)

    add("GET", "/oracles", oracles.get_oracles)
    add("POST", "/oracles", oracles.post_oracle)
    add("PUT", "/oracles/{id}", oracles.put_oracle)
    add("DELETE", "/oracles/{id}", oracles.delete_oracle)

    add("GET", "/enums", enums.get_enums)
    add("GET", "/enums/{id}", enums.get_enum)
