"""The FSPIOP API's paths (fspiop 1.6), on one page."""

from __future__ import annotations

from aiohttp.web import Application

from web.fspiop.agreement import AgreementResource
from web.fspiop.transfers import TransfersResource


def add_fspiop_routes(app: Application, transfers: TransfersResource) -> None:
    """Serve the resources that the hub has."""
    app.router.add_post("/transfers", transfers.post_transfer)
    # A HEAD must not ask the ledger, as aiohttp's default would have it.
    app.router.add_get("/transfers/{ID}", transfers.get_transfer, allow_head=False)
    app.router.add_put("/transfers/{ID}", transfers.put_transfer)
    app.router.add_patch("/transfers/{ID}", transfers.patch_transfer)
    app.router.add_put("/transfers/{ID}/error", transfers.put_transfer_error)


def add_agreement_routes(app: Application, resource: AgreementResource) -> None:
    """Serve a resource of what is agreed on before a transfer."""
    path = f"/{resource.description.resource}"
    if resource.description.request is not None:
        app.router.add_post(path, resource.post)
    app.router.add_get(path + "/{ID}", resource.get, allow_head=False)
    app.router.add_put(path + "/{ID}", resource.put)
    app.router.add_put(path + "/{ID}/error", resource.put_error)
