"""The command line of `clearinghub report`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from clearinghub.domain.settlement.scheme import POSITION
from clearinghub.tools.admin.options import base_url, currency, number, participant_name, timeout_s
from clearinghub.tools.client.admin import REQUEST_TIMEOUT_S
from clearinghub.tools.client.reports import Form

TEXT: Final = "text"
EXIT_CODES: Final = (
    "exit codes: 0 done; 1 refused by the hub, or the report does not add up or is not what the audit counts; "
    "2 wrong usage; 3 hub or broker unreachable"
)
SETTLE_S: Final = 10


def moment(text: str) -> str:
    """A day, which begins at midnight, or a time; in UTC unless it has an offset. As the API wants it."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-10-01 or 2026-10-01T17:00:00Z") from error
    zoned = found.isoformat(timespec="milliseconds")
    return zoned if found.tzinfo is not None else f"{zoned}Z"


def seconds(text: str) -> int:
    """Whole seconds."""
    if not text.isdecimal() or not 1 <= int(text) <= 600:  # noqa: PLR2004 - ten minutes
        raise argparse.ArgumentTypeError(f"{text!r} is not 1 to 600 seconds")
    return int(text)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """What is asked for; `kind` names the report. Ends the process with 2 if it is wrong."""
    top = _parser()
    chosen = top.parse_args(arguments)
    if chosen.output is not None and chosen.format == TEXT:
        top.error("--output is for --format json, csv or html")
    return chosen


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--url", type=base_url, help="the admin API (settings: CLEARINGHUB_ADMIN_URL)")
    common.add_argument(
        "--timeout", type=timeout_s, metavar="S", default=REQUEST_TIMEOUT_S, help="for each answer (%(default)s s)"
    )
    common.add_argument(
        "--format",
        choices=[TEXT, *(form.value for form in Form)],
        default=TEXT,
        help="text is for the screen (default); html is a page to print",
    )
    common.add_argument("--output", type=Path, metavar="FILE", help="write there, all or nothing")
    common.add_argument("--verify", action="store_true", help="compare with what `clearinghub audit` counts")
    common.add_argument("--settle-s", type=seconds, default=SETTLE_S, metavar="N", help="as for `clearinghub audit`")
    top = argparse.ArgumentParser(
        prog="clearinghub report", description="The hub's reports, and whether they are right.", epilog=EXIT_CODES
    )
    kinds = top.add_subparsers(metavar="REPORT", dest="kind", required=True)
    for kind, purpose, argument in (
        ("window", "who owes and who is owed what in a closed window", "WINDOW"),
        ("settlement", "who owed and was owed what in a settlement, and how far it is settled", "SETTLEMENT"),
        ("transfers", "the transfers of a window", "WINDOW"),
    ):
        _kind(kinds, kind, purpose, common).add_argument("number", metavar=argument, type=number)
    statement = _kind(kinds, "statement", "what moved an account", common)
    statement.add_argument("name", metavar="NAME", type=participant_name)
    statement.add_argument("currency", metavar="CURRENCY", type=currency)
    statement.add_argument("--type", default=POSITION, metavar="TYPE", help="of the account (%(default)s)")
    statement.add_argument("--from", dest="begin", type=moment, metavar="TIME", help="(24 hours before the end)")
    statement.add_argument("--to", dest="end", type=moment, metavar="TIME", help="not included (now)")
    return top


def _kind(kinds: Any, kind: str, purpose: str, common: argparse.ArgumentParser) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = kinds.add_parser(
        kind, help=purpose, description=purpose, epilog=EXIT_CODES, parents=[common]
    )
    return made
