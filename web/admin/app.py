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
from clearinghub.security.roles import Permission
from web.admin.access import Authenticate, make_access_middleware
from web.admin.accounts import AccountsResource
from web.admin.approvals import ApprovalsResource
from web.admin.context import AdminContext
from web.admin.credentials import CredentialsResource
from web.admin.enums import EnumsResource
from web.admin.features import FeaturesResource
from web.admin.limits import LimitsResource
from web.admin.models import ModelsResource
from web.admin.operators import OperatorsResource
from web.admin.oracles import OraclesResource
from web.admin.origin import make_origin_middleware
from web.admin.participants import ParticipantsResource
from web.admin.partitions import PartitionsResource
from web.admin.routes import GuardedRoutes
from web.admin.statement import StatementResource
from web.admin.transactions import TransactionsResource
from web.documentation.page import PATH as DOCUMENTATION
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
    authenticate: Authenticate | None = None,
) -> Application:
    """Return the application.

    Without `authenticate` whoever reaches it may do everything: that must be the network of the operators only.
    """
    app = Application(
        client_max_size=settings.body_bytes_max,
        middlewares=[
            make_metrics_middleware(),
            make_error_middleware(),
            make_origin_middleware(settings),
            make_access_middleware(authenticate),
        ],
    )
    context = AdminContext(settings, commands, participants, ledger)
    routes = GuardedRoutes(app)
    _add_routes(routes, context)
    statement = StatementResource(context, statements)
    routes.add(Permission.READ, "GET", "/participants/{name}/accounts/{id}/statement", statement.get_statement)
    routes.add(Permission.READ_PERSONS, "GET", "/transactions/{id}", TransactionsResource(packets).get_transaction)
    features = FeaturesResource(context, processes)
    routes.add(Permission.READ, "GET", "/features", features.get_features)
    routes.add(Permission.MANAGE_SCHEME, "PUT", "/features", features.put_features)
    operators = OperatorsResource(context)
    routes.add(Permission.READ_OPERATORS, "GET", "/operators", operators.get_operators)
    routes.add(Permission.MANAGE_OPERATORS, "PUT", "/operators/{name}", operators.put_operator)
    routes.add(Permission.MANAGE_OPERATORS, "DELETE", "/operators/{name}", operators.delete_operator)
    approvals = ApprovalsResource(context)
    routes.add(Permission.READ, "GET", "/approvals", approvals.get_approvals)
    routes.add(Permission.READ, "PUT", "/approvals/{id}", approvals.put_approval)  # and that of the command
    routes.add(Permission.READ, "GET", "/partitions", PartitionsResource(partitions).get_partitions)
    base_path = settings.settlement_base_path
    add_settlement_routes(routes, base_path, context, settlement, window_transfers)
    add_operations_routes(app, health, __version__, base_paths=("", base_path))
    add_readiness_route(app, health, __version__)
    routes.require(Permission.PUBLIC, "/health", "/metrics", "/ready", f"{base_path}/health", f"{base_path}/metrics")
    add_documentation_routes(app, "admin")
    routes.require(Permission.READ, DOCUMENTATION, DOCUMENTATION + "/{file}")
    return app


def _add_routes(routes: GuardedRoutes, context: AdminContext) -> None:
    """Add the paths of the API; a fixed path comes before a path with a name in the same place."""
    participants = ParticipantsResource(context)
    credentials = CredentialsResource(context)
    limits = LimitsResource(context)
    accounts = AccountsResource(context)
    models = ModelsResource(context)
    oracles = OraclesResource(context)
    enums = EnumsResource(context)
    add = routes.add

    add(Permission.READ, "GET", "/participants", participants.get_participants)
    add(Permission.MANAGE_SCHEME, "POST", "/participants", participants.post_participants)
    add(Permission.READ, "GET", "/participants/limits", limits.get_limits_of_all)
    add(Permission.READ, "GET", "/participants/{name}", participants.get_participant)
    add(Permission.MANAGE_SCHEME, "PUT", "/participants/{name}", participants.put_participant)
    add(Permission.READ, "GET", "/participants/{name}/endpoints", participants.get_endpoints)
    add(Permission.MANAGE_SCHEME, "POST", "/participants/{name}/endpoints", participants.post_endpoints)

    add(Permission.READ, "GET", "/participants/{name}/credentials", credentials.get_credentials)
    add(Permission.MANAGE_CREDENTIALS, "POST", "/participants/{name}/credentials", credentials.post_credential)
    add(Permission.MANAGE_CREDENTIALS, "PUT", "/participants/{name}/credentials/{id}", credentials.put_credential)

    add(Permission.MANAGE_SCHEME, "POST", "/participants/{name}/initialPositionAndLimits", limits.post_initial_limit)
    add(Permission.READ, "GET", "/participants/{name}/limits", limits.get_limits)
    add(Permission.MANAGE_SCHEME, "PUT", "/participants/{name}/limits", limits.put_limits)
    add(Permission.READ, "GET", "/participants/{name}/positions", limits.get_positions)

    add(Permission.READ, "GET", "/participants/{name}/accounts", accounts.get_accounts)
    add(Permission.MANAGE_SCHEME, "POST", "/participants/{name}/accounts", accounts.post_accounts)
    add(Permission.MANAGE_SCHEME, "PUT", "/participants/{name}/accounts/{id}", accounts.put_account)
    add(Permission.MOVE_FUNDS, "POST", "/participants/{name}/accounts/{id}", accounts.post_funds)
    add(Permission.MOVE_FUNDS, "PUT", "/participants/{name}/accounts/{id}/transfers/{transferId}", accounts.put_funds)

    add(Permission.READ, "GET", "/settlementModels", models.get_models)
    add(Permission.MANAGE_SCHEME, "POST", "/settlementModels", models.post_models)
    add(Permission.READ, "GET", "/settlementModels/{name}", models.get_model)
    add(Permission.MANAGE_SCHEME, "PUT", "/settlementModels/{name}", models.put_model)
    add(Permission.READ, "GET", "/ledgerAccountTypes", models.get_account_types)
    add(Permission.MANAGE_SCHEME, "POST", "/ledgerAccountTypes", models.post_account_types)

    add(Permission.READ, "GET", "/oracles", oracles.get_oracles)
    add(Permission.MANAGE_SCHEME, "POST", "/oracles", oracles.post_oracle)
    add(Permission.MANAGE_SCHEME, "PUT", "/oracles/{id}", oracles.put_oracle)
    add(Permission.MANAGE_SCHEME, "DELETE", "/oracles/{id}", oracles.delete_oracle)

    add(Permission.READ, "GET", "/enums", enums.get_enums)
    add(Permission.READ, "GET", "/enums/{id}", enums.get_enum)
