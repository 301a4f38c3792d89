"""The FSPIOP API's paths (fspiop 1.6), on one page."""

from __future__ import annotations

from aiohttp.web import Application

from web.fspiop.bulk_transfers import BulkTransfersResource
from web.fspiop.transfers import TransfersResource


def add_fspiop_routes(app: Application, transfers: TransfersResource) -> None:
    """Serve the resources that the hub has."""
    app.router.add_post("/transfers", transfers.post_transfer)
    # A HEAD must not ask the ledger, as aiohttp's default would have it.
    app.router.add_get("/transfers/{ID}", transfers.get_transfer, allow_head=False)
    app.router.add_put("/transfers/{ID}", transfers.put_transfer)
    app.router.add_patch("/transfers/{ID}", transfers.patch_transfer)
    app.router.add_put("/transfers/{ID}/error", transfers.put_transfer_error)


def add_bulk_routes(app: Application, bulks: BulkTransfersResource) -> None:
    """Serve /bulkTransfers."""
    app.router.add_post("/bulkTransfers", bulks.post_bulk)
    app.router.add_get("/bulkTransfers/{ID}", bulks.get_bulk, allow_head=False)
    app.router.add_put("/bulkTransfers/{ID}", bulks.put_bulk)
    app.router.add_put("/bulkTransfers/{ID}/error", bulks.put_bulk_error)
