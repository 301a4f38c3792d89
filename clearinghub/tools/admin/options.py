"""The command line of `clearinghub admin`: a noun, a verb, and what it is about."""

from __future__ import annotations

import argparse
import re
from typing import Any, Final
from urllib.parse import urlsplit

from clearinghub.domain.money import AMOUNT_LIMIT, parse_decimal
from clearinghub.domain.settlement.scheme import (
    DELAYS,
    GRANULARITIES,
    HUB_ACCOUNT_TYPES,
    HUB_MULTILATERAL_SETTLEMENT,
    HUB_RECONCILIATION,
    INTERCHANGES,
    POSITION,
    SETTLEMENT,
    SETTLEMENT_ACCOUNT_TYPES,
)
from clearinghub.domain.settlement.window import WindowState
from clearinghub.tools.admin.exits import EXIT_CODES_HELP
from clearinghub.tools.client.admin import REQUEST_TIMEOUT_S
from clearinghub.tools.client.names import ENDPOINT_PREFIX, full_endpoint_type, is_participant_name

TIMEOUT_MAX_S: Final = 600
DEFAULT_HUB_ACCOUNTS: Final = (HUB_RECONCILIATION, HUB_MULTILATERAL_SETTLEMENT)

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ULID: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")

_Verbs = Any  # argparse's type for a set of sub-commands is private


def base_url(text: str) -> str:
    """An http or https URL."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError(f"{text!r} is not an http URL such as http://127.0.0.1:4001")
    return text


def timeout_s(text: str) -> int:
    """Whole seconds."""
    if not text.isdecimal() or not 1 <= int(text) <= TIMEOUT_MAX_S:
        raise argparse.ArgumentTypeError(f"{text!r} is not 1 to {TIMEOUT_MAX_S} seconds")
    return int(text)


def participant_name(text: str) -> str:
    """What a participant may be called."""
    if not is_participant_name(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name: 2 to 30 letters, digits, dots, dashes, underscores")
    return text


def currency(text: str) -> str:
    """Three letters; whether the scheme has it is the hub's to say."""
    if _CURRENCY.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no currency code such as USD")
    return text


def amount_units(text: str) -> int:
    """A positive amount, in 1/10,000."""
    return _units(text, at_least=1)


def cap_units(text: str) -> int:
    """A net debit cap, in 1/10,000; below zero stops a DFSP that is owed money as well."""
    return _units(text, at_least=1 - AMOUNT_LIMIT)


def number(text: str) -> int:
    """The number of a window or a settlement."""
    if not text.isdecimal() or not 1 <= int(text) < 10**12:
        raise argparse.ArgumentTypeError(f"{text!r} is no number such as 1")
    return int(text)


def percent(text: str) -> int:
    """Whole per cent."""
    if not text.isdecimal() or int(text) > 100:  # noqa: PLR2004 - per cent
        raise argparse.ArgumentTypeError(f"{text!r} is not 0 to 100 per cent")
    return int(text)


def transfer_id(text: str) -> str:
    """A UUID or a ULID."""
    if _UUID.fullmatch(text):
        return text.lower()
    if not _ULID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a UUID nor a ULID")
    return text


def endpoint_type(text: str) -> str:
    """An endpoint type of protocol 5.4; the prefix that most of them have may be left out."""
    known = full_endpoint_type(text)
    if known is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no endpoint type such as TRANSFER_POST")
    return known


def common_options() -> argparse.ArgumentParser:
    """Options that may stand before the noun or behind everything."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--url", type=base_url, help="the admin API (settings: CLEARINGHUB_ADMIN_URL)")
    common.add_argument("--timeout", type=timeout_s, metavar="S", help=f"for each request ({REQUEST_TIMEOUT_S} s)")
    common.add_argument("--json", action="store_true", help="one JSON document on stdout, for scripts")
    return common


def parser() -> argparse.ArgumentParser:
    """All of it; `chosen.handler` names the command."""
    common = common_options()
    top = argparse.ArgumentParser(
        prog="clearinghub admin",
        description="What operators do daily, over the hub's admin API.",
        epilog=EXIT_CODES_HELP,
        parents=[common],
    )
    nouns = top.add_subparsers(metavar="NOUN", required=True)
    _participants(nouns, common)
    _accounts(nouns, common)
    _limits_and_positions(nouns, common)
    _funds(nouns, common)
    _endpoints(nouns, common)
    _models(nouns, common)
    _settlement(nouns, common)
    return top


def _noun(nouns: _Verbs, name: str, purpose: str) -> _Verbs:
    noun = nouns.add_parser(name, help=purpose, description=purpose, epilog=EXIT_CODES_HELP)
    return noun.add_subparsers(metavar="VERB", required=True)


def _verb(verbs: _Verbs, common: argparse.ArgumentParser, name: str, purpose: str, handler: str) -> Any:
    verb = verbs.add_parser(name, help=purpose, description=purpose, epilog=EXIT_CODES_HELP, parents=[common])
    verb.set_defaults(handler=handler)
    return verb


def _participants(nouns: _Verbs, common: argparse.ArgumentParser) -> None:
    verbs = _noun(nouns, "participants", "who takes part")
    _verb(verbs, common, "list", "all participants", "participants list")
    show = _verb(verbs, common, "show", "one with accounts, limits, endpoints", "participants show")
    add = _verb(verbs, common, "add", "a new one, or one more currency for it", "participants add")
    on = _verb(verbs, common, "activate", "let it take part", "participants activate")
    off = _verb(
        verbs, common, "deactivate", "refuse its transfers; those in flight complete", "participants deactivate"
    )
    for verb in (show, add, on, off):
        verb.add_argument("name", metavar="NAME", type=participant_name)
    add.add_argument("currency", metavar="CURRENCY", type=currency)
    add.add_argument("--proxy", action="store_true", help="it stands for participants of another scheme")


def _accounts(nouns: _Verbs, common: argparse.ArgumentParser) -> None:
    verbs = _noun(nouns, "accounts", "what the ledger keeps for each participant")
    listed = _verb(verbs, common, "list", "accounts with what they hold", "accounts list")
    listed.add_argument("name", metavar="NAME", type=participant_name, nargs="?", help="only this participant's")
    on = _verb(verbs, common, "activate", "switch a POSITION account on", "accounts activate")
    off = _verb(verbs, common, "deactivate", "switch a POSITION account off", "accounts deactivate")
    for verb in (on, off):
        verb.add_argument("name", metavar="NAME", type=participant_name)
        verb.add_argument("currency", metavar="CURRENCY", type=currency, help="of its POSITION account")
    verbs = _noun(nouns, "hub-accounts", "the hub's own accounts")
    add = _verb(verbs, common, "add", "open the hub's accounts in a currency", "hub-accounts add")
    add.add_argument("currency", metavar="CURRENCY", type=currency)
    add.add_argument(
        "types", metavar="TYPE", nargs="*", help=f"of {', '.join(HUB_ACCOUNT_TYPES)} (the first two, if not given)"
    )


def _limits_and_positions(nouns: _Verbs, common: argparse.ArgumentParser) -> None:
    verbs = _noun(nouns, "limits", "net debit caps")
    listed = _verb(verbs, common, "list", "caps and alarms", "limits list")
    listed.add_argument("name", metavar="NAME", type=participant_name, nargs="?", help="only this participant's")
    put = _verb(verbs, common, "set", "set a cap; the first opens the accounts for transfers", "limits set")
    put.add_argument("name", metavar="NAME", type=participant_name)
    put.add_argument("currency", metavar="CURRENCY", type=currency)
    put.add_argument("cap_units", metavar="CAP", type=cap_units, help="in currency units, up to four decimals")
    put.add_argument("--alarm", metavar="PERCENT", type=percent, help="of the cap (unchanged, if not given)")
    verbs = _noun(nouns, "positions", "what each owes or is owed, and how much room it has")
    listed = _verb(verbs, common, "list", "positions beside caps and funds", "positions list")
    listed.add_argument("name", metavar="NAME", type=participant_name, nargs="?", help="only this participant's")


def _funds(nouns: _Verbs, common: argparse.ArgumentParser) -> None:
    verbs = _noun(nouns, "funds", "money that comes into or leaves the scheme's bank account")
    money_in = _verb(verbs, common, "in", "record money that has come in", "funds in")
    out = verbs.add_parser("out", help="money that goes out: reserve, then commit or abort", epilog=EXIT_CODES_HELP)
    steps = out.add_subparsers(metavar="STEP", required=True)
    reserve = _verb(steps, common, "reserve", "hold it back until it is paid", "funds out reserve")
    commit = _verb(steps, common, "commit", "it has been paid", "funds out commit")
    abort = _verb(steps, common, "abort", "it has not been paid: give it back", "funds out abort")
    for verb in (money_in, reserve, commit, abort):
        verb.add_argument("name", metavar="NAME", type=participant_name)
        verb.add_argument("currency", metavar="CURRENCY", type=currency)
    for verb in (money_in, reserve):
        verb.add_argument("amount_units", metavar="AMOUNT", type=amount_units, help="in currency units")
        verb.add_argument("--transfer-id", type=transfer_id, metavar="ID", help="to repeat a request (default: new)")
        verb.add_argument("--reference", default="clearinghub admin", metavar="TEXT", help="the bank's, up to 128")
    for verb in (commit, abort):
        verb.add_argument("transfer_id", metavar="ID", type=transfer_id, help="that `reserve` printed")
    for verb in (money_in, reserve, commit, abort):
        verb.add_argument("--reason", default="operator", metavar="TEXT", help="for the hub's log, up to 512")


def _endpoints(nouns: _Verbs, common: argparse.ArgumentParser) -> None:
    verbs = _noun(nouns, "endpoints", "where callbacks go")
    listed = _verb(verbs, common, "list", "endpoints", "endpoints list")
    listed.add_argument("name", metavar="NAME", type=participant_name, nargs="?", help="only this participant's")
    put = _verb(verbs, common, "set", "set the endpoint of a type", "endpoints set")
    put.add_argument("name", metavar="NAME", type=participant_name)
    put.add_argument("type", metavar="TYPE", type=endpoint_type, help=f"{ENDPOINT_PREFIX} may be left out")
    put.add_argument("value", metavar="URL", help="may hold variables such as {{transferId}}")


def _models(nouns: _Verbs, common: argparse.ArgumentParser) -> None:
    verbs = _noun(nouns, "models", "settlement models")
    _verb(verbs, common, "list", "the active ones", "models list")
    add = _verb(verbs, common, "add", "a new one; by default deferred, net, multilateral", "models add")
    add.add_argument("name", metavar="NAME", help="2 to 30 letters and digits")
    add.add_argument("--currency", type=currency, metavar="CODE", help="(default: all without their own)")
    add.add_argument("--delay", choices=DELAYS, default="DEFERRED")
    add.add_argument("--granularity", choices=GRANULARITIES, default="NET")
    add.add_argument("--interchange", choices=INTERCHANGES, default="MULTILATERAL")
    add.add_argument("--account-type", default=POSITION, metavar="TYPE", help="that it settles (%(default)s)")
    add.add_argument("--settlement-account-type", choices=SETTLEMENT_ACCOUNT_TYPES, default=SETTLEMENT)
    add.add_argument("--no-liquidity-check", action="store_true", help="settle whatever the funds are")
    add.add_argument("--no-position-reset", action="store_true", help="keep positions when settled")


def _settlement(nouns: _Verbs, common: argparse.ArgumentParser) -> None:
    verbs = _noun(nouns, "windows", "settlement windows")
    listed = _verb(verbs, common, "list", "the windows, newest first", "windows list")
    listed.add_argument("--state", choices=[state.value for state in WindowState])
    close = _verb(verbs, common, "close", "close the open window; the next one is open at once", "windows close")
    close.add_argument("window", metavar="WINDOW", type=number, nargs="?", help="(the open one, if not given)")
    nets = _verb(verbs, common, "nets", "who owes and who is owed what in a closed one", "windows nets")
    nets.add_argument("window", metavar="WINDOW", type=number)
    verbs = _noun(nouns, "settlements", "settlements of closed windows")
    _verb(verbs, common, "list", "the settlements, newest first", "settlements list")
    show = _verb(verbs, common, "show", "one with its accounts", "settlements show")
    create = _verb(verbs, common, "create", "settle windows by a model", "settlements create")
    create.add_argument("model", metavar="MODEL")
    create.add_argument("windows", metavar="WINDOW", type=number, nargs="+")
    advance = _verb(verbs, common, "advance", "take all accounts one state further", "settlements advance")
    abort = _verb(verbs, common, "abort", "undo it; not once an account is committed", "settlements abort")
    for verb in (show, advance, abort):
        verb.add_argument("settlement", metavar="SETTLEMENT", type=number)
    for verb in (close, create, advance, abort):
        verb.add_argument("--reason", default="operator", metavar="TEXT", help="kept with it, up to 512")


def _units(text: str, *, at_least: int) -> int:
    units = parse_decimal(text, at_least=at_least)
    if units is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount: digits, a point, up to four decimals")
    return units
