"""Remove finished transfers and bulks from their tables once nobody may ask for them any more."""

from __future__ import annotations

from typing import Final

from clearinghub.domain.transfers.transfer import Transfer
from clearinghub.engine.record import Punctuator, PunctuatorView, View
from clearinghub.ports import Archive
from tables.bulks import BULKS
from tables.claims import keep_funds
from tables.transfers import FINISHED, TRANSFERS, at, valid_until_ms

ROWS_AT_ONCE: Final = 1_000
ITEMS_AT_ONCE: Final = 4_000  # of bulks, in one run; a bulk is removed whole, so the first one may have more


def make_retention_punctuator(retention_ms: int, archive: Archive | None = None) -> Punctuator:
    """Return the punctuator that removes transfers `retention_ms` after their end and expiration.

    Until then they answer repeated requests and GETs; their topic keeps them, and of funds in and out a small row stays
    for ever. With an `archive` a transfer stays until the archive has it, however long that takes, for the topic may
    drop the transfer earlier (ADR 20).
    """

    def punctuate(view: PunctuatorView, now_ms: int) -> None:
        until_ms, overdue_ms = now_ms - retention_ms, 0
        for transfer_id in view.scan(TRANSFERS, FINISHED, at(FINISHED, until_ms), ROWS_AT_ONCE):
            transfer = view.get(TRANSFERS, transfer_id)
            assert transfer is not None, f"{transfer_id} is in the index but not in the table"
            if archive is not None and not _is_archived(archive, view, transfer):
                # The archive copies transfers in the order of their ends: it has hardly any of the later ones.
                overdue_ms = until_ms - valid_until_ms(transfer)
                break
            keep_funds(view, transfer)
            view.delete(TRANSFERS, transfer_id)
        if archive is not None:
            archive.overdue(view.partition, TRANSFERS.name, overdue_ms)

    return punctuate


def make_bulk_retention_punctuator(retention_ms: int, archive: Archive | None = None) -> Punctuator:
    """Return the punctuator that removes bulks `retention_ms` after their end and expiration, with all their items."""

    def punctuate(view: PunctuatorView, now_ms: int) -> None:
        until_ms, overdue_ms, removed = now_ms - retention_ms, 0, 0
        for bulk_id in view.scan(BULKS, FINISHED, at(FINISHED, until_ms), ROWS_AT_ONCE):
            bulk = view.get(BULKS, bulk_id)
            assert bulk is not None, f"{bulk_id} is in the index but not in the table"
            if removed and removed + len(bulk.transfer_ids) > ITEMS_AT_ONCE:
                break
            rows = [view.get(TRANSFERS, transfer_id) for transfer_id in bulk.transfer_ids]
            items = [row for row in rows if row is not None and row.bulk_id == bulk_id]
            if archive is not None and not all(_is_archived(archive, view, item) for item in items):
                assert bulk.finished_at_ms is not None
                overdue_ms = until_ms - max(bulk.finished_at_ms, bulk.expires_at_ms)
                break
            for item in items:
                view.delete(TRANSFERS, item.transfer_id)
            view.delete(BULKS, bulk_id)
            removed += len(bulk.transfer_ids)
        if archive is not None:
            archive.overdue(view.partition, BULKS.name, overdue_ms)

    return punctuate


def _is_archived(archive: Archive, view: View, transfer: Transfer) -> bool:
    """A final transfer without a sequence number was never published, so the archive will not have it: do not wait."""
    return transfer.sequence is None or transfer.sequence <= archive.sequence(view.partition)
