"""All paths of the FSPIOP API (protocol 1.6)."""

from __future__ import annotations

from typing import Final

from aiohttp.web import Application

from web.fspiop.bulk import BulkTransfersResource
from web.fspiop.parties import PartiesResource
from web.fspiop.quotes import AgreementResource
from web.fspiop.transfers import TransfersResource


def add_transfer_routes(app: Application, transfers: TransfersResource) -> None:
    """Add the paths of /transfers to the application."""
    app.router.add_post("/transfers", transfers.post_transfer)
    # By default aiohttp serves HEAD by GET's handler, which would write a record.
    app.router.add_get("/transfers/{ID}", transfers.get_transfer, allow_head=False)
    app.router.add_put("/transfers/{ID}", transfers.put_transfer)
    app.router.add_patch("/transfers/{ID}", transfers.patch_transfer)
    app.router.add_put("/transfers/{ID}/error", transfers.put_transfer_error)


def add_bulk_routes(app: Application, bulks: BulkTransfersResource) -> None:
    """Add the paths of /bulkTransfers to the application."""
    app.router.add_post("/bulkTransfers", bulks.post_bulk)
    app.router.add_get("/bulkTransfers/{ID}", bulks.get_bulk, allow_head=False)
    app.router.add_put("/bulkTransfers/{ID}", bulks.put_bulk)
    app.router.add_put("/bulkTransfers/{ID}/error", bulks.put_bulk_error)


def add_agreement_routes(app: Application, resource: AgreementResource) -> None:
    """Add the paths of a resource by which DFSPs agree before a transfer, such as /quotes."""
    path = f"/{resource.description.resource}"
    if resource.description.request is not None:
        app.router.add_post(path, resource.post)
    app.router.add_get(path + "/{ID}", resource.get, allow_head=False)
    app.router.add_put(path + "/{ID}", resource.put)
    app.router.add_put(path + "/{ID}/error", resource.put_error)


PARTY_RESOURCES: Final = ("parties", "participants")
# A sub-id may be empty, for some clients leave its place in the path empty. It is never the word `error`, for then its
# callback would have the path of an error. Nor is a participant's identifier: that is the path of a batch's error.
_NOT_ERROR: Final = "(?!error(?:/|$))"
_SUB_ID: Final = f"{{SubId:{_NOT_ERROR}[^/]*}}"
_PARTY_PATHS: Final = ("/{Type}/{ID:[^/]+}", "/{Type}/{ID:[^/]+}/" + _SUB_ID)
_PARTICIPANT_PATHS: Final = (f"/{{Type}}/{{ID:{_NOT_ERROR}[^/]+}}", _PARTY_PATHS[1])


def add_party_routes(app: Application, parties: PartiesResource, participants: PartiesResource) -> None:
    """Add the paths of /parties and /participants to the application."""
    add = app.router.add_route
    for path in _PARTY_PATHS:
        add("PUT", f"/parties{path}/error", parties.put_error)
        add("PUT", f"/participants{path}/error", participants.put_error)
    add("POST", "/participants", participants.post_batch)
    add("PUT", "/participants/{ID}", participants.put_batch)
    add("PUT", "/participants/{ID}/error", participants.put_batch_error)
    for path in _PARTY_PATHS:
        add("GET", f"/parties{path}", parties.get_party)
        add("PUT", f"/parties{path}", parties.put_party)
    for path in _PARTICIPANT_PATHS:
        add("GET", f"/participants{path}", participants.get_participant)
        add("POST", f"/participants{path}", participants.post_participant)
        add("PUT", f"/participants{path}", participants.put_participant)
        add("DELETE", f"/participants{path}", participants.delete_participant)
