"""Windows, what they hold, and settlements as JSON types: for rows, for records, and for answers to operators."""

from __future__ import annotations

from typing import Any, Final

from clearinghub.domain.settlement.creation import AccountIds, ContentNets
from clearinghub.domain.settlement.netting import Net, NettingGroup, Party
from clearinghub.domain.settlement.settlement import Leg, Line, Settlement, SettlementState, Terms
from clearinghub.domain.settlement.window import Content, Window, WindowState

VERSION: Final = 1

Fields = dict[str, Any]


def window_fields(row: Window) -> Fields:
    """A window as JSON types, with `v`, the version of its shape; times in milliseconds since 1970."""
    return {
        "v": VERSION,
        "id": row.window_id,
        "state": row.state.value,
        "reason": row.reason,
        "created_at_ms": row.created_at_ms,
        "changed_at_ms": row.changed_at_ms,
        "used": row.used,
        "reported": list(row.reported),
        "contents": [
            {
                "id": one.content_id,
                "netting_group": list(one.netting_group),
                "state": one.state.value,
                "created_at_ms": one.created_at_ms,
                "changed_at_ms": one.changed_at_ms,
                "transfers": one.transfers,
                "settlement_id": one.settlement_id,
            }
            for one in row.contents
        ],
    }


def window_of(fields: Fields) -> Window:
    """The window in JSON types. Raises ValueError for a shape of another version."""
    _check(fields)
    contents = tuple(
        Content(
            one["id"],
            NettingGroup(*one["netting_group"]),
            WindowState(one["state"]),
            one["created_at_ms"],
            one["changed_at_ms"],
            one["transfers"],
            one["settlement_id"],
        )
        for one in fields["contents"]
    )
    return Window(
        fields["id"],
        WindowState(fields["state"]),
        fields["reason"],
        fields["created_at_ms"],
        fields["changed_at_ms"],
        fields["used"],
        tuple(fields["reported"]),
        contents,
    )


def settlement_fields(row: Settlement) -> Fields:
    """A settlement as JSON types, likewise."""
    return {
        "v": VERSION,
        "id": row.settlement_id,
        "terms": [
            row.terms.model,
            row.terms.ledger_account_type,
            row.terms.by_pairs,
            row.terms.require_liquidity_check,
            row.terms.auto_position_reset,
        ],
        "state": row.state.value,
        "reason": row.reason,
        "external_reference": row.external_reference,
        "created_at_ms": row.created_at_ms,
        "changed_at_ms": row.changed_at_ms,
        "contents": [[window_id, *netting_group] for window_id, netting_group in row.contents],
        "lines": [_line_fields(line) for line in row.lines],
        "version": row.version,
    }


def settlement_of(fields: Fields) -> Settlement:
    """The settlement in JSON types. Raises ValueError for a shape of another version."""
    _check(fields)
    return Settlement(
        fields["id"],
        Terms(*fields["terms"]),
        SettlementState(fields["state"]),
        fields["reason"],
        fields["external_reference"],
        fields["created_at_ms"],
        fields["changed_at_ms"],
        tuple((one[0], NettingGroup(*one[1:])) for one in fields["contents"]),
        tuple(_line_of(one) for one in fields["lines"]),
        fields["version"],
    )


def _line_fields(line: Line) -> Fields:
    return {
        "participant": line.participant,
        "participant_id": line.participant_id,
        "account_id": line.account_id,
        "currency": line.currency,
        "legs": [[leg.counterparty, leg.net] for leg in line.legs],
        "state": line.state.value,
        "reason": line.reason,
        "external_reference": line.external_reference,
        "created_at_ms": line.created_at_ms,
        "changed_at_ms": line.changed_at_ms,
        "moving": None if line.moving is None else line.moving.value,
        "moved": line.moved,
        "moves_asked": line.moves_asked,
        "moves_done": line.moves_done,
    }


def _line_of(fields: Fields) -> Line:
    return Line(
        **{
            **fields,
            "legs": tuple(Leg(*one) for one in fields["legs"]),
            "state": SettlementState(fields["state"]),
            "moving": None if fields["moving"] is None else SettlementState(fields["moving"]),
        }
    )


def net_fields(party: Party, net: Net) -> list[Any]:
    """A net in a report, and in a content's row."""
    return [*party, net.debits, net.credits, net.debit_count, net.credit_count]


def net_of(fields: list[Any]) -> tuple[Party, Net]:
    """The net in those fields."""
    return Party(*fields[:2]), Net(*fields[2:])


def content_fields(row: ContentNets) -> Fields:
    """The nets of a content as JSON types, likewise."""
    nets = [net_fields(party, net) for party, net in row.nets.items()]
    return {"v": VERSION, "nets": nets, "accounts": {name: list(ids) for name, ids in row.accounts.items()}}


def content_of(fields: Fields) -> ContentNets:
    """The nets in JSON types. Raises ValueError for a shape of another version."""
    _check(fields)
    accounts = {name: AccountIds(*ids) for name, ids in fields["accounts"].items()}
    return ContentNets(dict(net_of(one) for one in fields["nets"]), accounts)


def _check(fields: Fields) -> None:
    if fields.get("v") != VERSION:
        raise ValueError(f"of version {fields.get('v')!r}")
