"""`clearinghub admin NOUN VERB ...`: parse, ask the hub, show."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from clearinghub.config import Settings
from clearinghub.tools.admin.commands import Commands
from clearinghub.tools.admin.exits import EXIT_OK, ending
from clearinghub.tools.admin.funds import FundsCommands
from clearinghub.tools.admin.options import parser
from clearinghub.tools.admin.screen import Answer, print_answer
from clearinghub.tools.admin.settlement import SettlementCommands
from clearinghub.tools.client.admin import REQUEST_TIMEOUT_S, AdminClient
from clearinghub.tools.client.hub_urls import admin_url
from clearinghub.tools.client.operations import Operations
from clearinghub.tools.client.settlement import SettlementOperations


async def run(settings: Settings, arguments: Sequence[str]) -> int:
    """One command; gives the exit code (exits.py)."""
    chosen = parser().parse_args(arguments)
    return await ending(_run(settings, chosen))


async def _run(settings: Settings, chosen: argparse.Namespace) -> int:
    url = getattr(chosen, "url", None) or admin_url(settings)
    timeout_s: int = getattr(chosen, "timeout", REQUEST_TIMEOUT_S)
    async with AdminClient(url, timeout_s=timeout_s) as admin:
        answer = await _answer(admin, settings, chosen)
    print_answer(answer, as_json=getattr(chosen, "json", False))
    return EXIT_OK


async def _answer(admin: AdminClient, settings: Settings, chosen: argparse.Namespace) -> Answer:
    operations = Operations(admin)
    settlement = SettlementCommands(SettlementOperations(admin, settings.settlement_base_path), chosen)
    commands = Commands(operations, settings, chosen)
    funds = FundsCommands(operations, chosen)
    handlers = {
        "participants list": commands.participants_list,
        "participants show": commands.participants_show,
        "participants add": commands.participants_add,
        "participants activate": commands.participants_activate,
        "participants deactivate": commands.participants_deactivate,
        "accounts list": commands.accounts_list,
        "accounts activate": commands.accounts_activate,
        "accounts deactivate": commands.accounts_deactivate,
        "hub-accounts add": commands.hub_accounts_add,
        "limits list": commands.limits_list,
        "limits set": commands.limits_set,
        "positions list": commands.positions_list,
        "funds in": funds.funds_in,
        "funds out reserve": funds.funds_out_reserve,
        "funds out commit": funds.funds_out_commit,
        "funds out abort": funds.funds_out_abort,
        "endpoints list": commands.endpoints_list,
        "endpoints set": commands.endpoints_set,
        "models list": commands.models_list,
        "models add": commands.models_add,
        "windows list": settlement.windows_list,
        "windows close": settlement.windows_close,
        "windows nets": settlement.windows_nets,
        "settlements list": settlement.settlements_list,
        "settlements show": settlement.settlements_show,
        "settlements create": settlement.settlements_create,
        "settlements advance": settlement.settlements_advance,
        "settlements abort": settlement.settlements_abort,
    }
    return await handlers[chosen.handler]()
