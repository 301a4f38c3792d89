"""The matrix: what each method of each resource must lead to (protocol 1.6, by sections 3, 6, 7 and 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.web import agreement_bodies, bulk_exchange
from tests.web.bulk_exchange import failed, fulfilled, item, item_id
from tests.web.exchange import PAYEE, PAYER, Callback
from tests.web.fspiop_client import ERROR, FULFIL, PREPARE, TRANSFER_ID
from tests.web.matrix import (
    HUB,
    NOBODY,
    UNKNOWN_TYPE,
    Expected,
    Row,
    Sent,
    confirmed,
    each,
    error,
    forwarded,
    hub_answer,
    hub_error,
    refused,
    silence,
)
from tests.web.party_world import PARTY, REQUEST_ID

SYNTAX, INVALID = "Malformed syntax - ", "Generic validation error - "
COMPLETED = "any"  # a time; `callbacks_of` in test_matrix.py replaces it by this word


def _transfers() -> dict[str, Row]:
    """Section 3: an error callback to a payer has the extensions of its prepare."""
    path = f"/transfers/{TRANSFER_ID}"
    post = Sent("POST", "/transfers", PAYER, PAYEE, PREPARE)
    text = f"{INVALID}fspiop-destination does not match payer fsp on the Fulfil callback response"
    wrong_destination = each(error("3100", text, PAYER), error("3100", text, PAYEE))
    not_found = error("2001", "Internal server error - transfer not found")
    not_implemented = refused(501, "2002", "Not implemented")
    return {
        "POST /transfers": Row(
            post,
            good=forwarded(),
            for_stranger=error("3100", f"{INVALID}Participant {NOBODY} not found", extended=True),
        ),
        "GET /transfers/{ID}": Row(
            Sent("GET", path, PAYER, PAYEE),
            before=(post,),
            good=hub_answer({"transferState": "RESERVED", "extensionList": PREPARE["extensionList"]}),
            for_stranger=hub_answer({"transferState": "RESERVED", "extensionList": PREPARE["extensionList"]}),
            id_unknown=error("3208", "Transfer ID not found - Provided Transfer ID was not found on the server."),
        ),
        "PUT /transfers/{ID}": Row(
            Sent("PUT", path, PAYEE, PAYER, FULFIL),
            before=(post,),
            good=each(forwarded(), confirmed),
            for_stranger=wrong_destination,
            id_unknown=not_found,
        ),
        "PUT /transfers/{ID}/error": Row(
            Sent("PUT", f"{path}/error", PAYEE, PAYER, ERROR),
            before=(post,),
            good=each(forwarded(), hub_error(ERROR)),
            for_stranger=wrong_destination,
            id_unknown=not_found,
        ),
        "PATCH /transfers/{ID}": Row(
            Sent("PATCH", path, PAYEE, PAYER, {"completedTimestamp": PREPARE["expiration"], **FULFIL}),
            before=(post,),
            good=not_implemented,
            for_stranger=not_implemented,
            id_unknown=not_implemented,
        ),
    }


def _bulk_transfers() -> dict[str, Row]:
    """Section 8: the hub is the source of all callbacks."""
    path, body = bulk_exchange.PATH, bulk_exchange.bulk([item(1), item(2)])
    post = Sent("POST", "/bulkTransfers", PAYER, PAYEE, body)
    answer = {"bulkTransferState": "COMPLETED", "individualTransferResults": [*fulfilled(1), failed(2)]}
    done = {**answer, "completedTimestamp": COMPLETED}
    open_items = [{"transferId": item_id(1)}, {"transferId": item_id(2)}]
    shown = hub_answer({"bulkTransferState": "ACCEPTED", "individualTransferResults": open_items})
    text = f"{INVALID}FSPIOP-Destination header should match Payer FSP"
    wrong_destination = each(error("3100", text, PAYER), error("3100", text, PAYEE))
    not_found = error("3210", "Bulk transfer ID not found - Provided Bulk Transfer ID was not found on the server.")
    return {
        "POST /bulkTransfers": Row(
            post,
            good=lambda sent: [Callback(PAYEE, HUB, "POST", sent.path, body)],
            for_stranger=error("3203", f"Payee FSP ID not found - Participant {NOBODY} not found"),
        ),
        "GET /bulkTransfers/{ID}": Row(
            Sent("GET", path, PAYER, PAYEE),
            before=(post,),
            good=shown,
            for_stranger=shown,
            id_unknown=not_found,
        ),
        "PUT /bulkTransfers/{ID}": Row(
            Sent("PUT", path, PAYEE, PAYER, answer),
            before=(post,),
            good=each(hub_answer(done, PAYER), hub_answer(done, PAYEE)),
            for_stranger=wrong_destination,
            id_unknown=not_found,
        ),
        "PUT /bulkTransfers/{ID}/error": Row(
            Sent("PUT", f"{path}/error", PAYEE, PAYER, ERROR),
            before=(post,),
            good=each(hub_error(ERROR, PAYER), hub_error(ERROR, PAYEE)),
            for_stranger=wrong_destination,
            id_unknown=not_found,
        ),
    }


_ENDPOINTS: Mapping[str, tuple[str, str]] = {
    "quotes": ("QUOTES found for quote", " PAYEE party"),
    "bulkQuotes": ("BULK_QUOTES found for bulk quote", " PAYEE party"),
    "transactionRequests": ("TRX_REQ_SERVICE endpoint found for transactionRequest", " for"),
    "transactions": ("TRX_REQ_SERVICE endpoint found for transaction", " for"),
    "authorizations": ("AUTHORIZATIONS endpoint found for authorization", " for"),
}


UNREQUESTED = error("3100", f"{INVALID}FSPIOP-Destination has not asked FSPIOP-Source for this")


def _agreement() -> dict[str, Row]:
    """Section 7: bodies are forwarded unread; a question whatever the id, an answer if its receiver waits for it."""
    rows = {}
    questions = {one.resource: one for one in agreement_bodies.SENT if one.method == "GET"}
    for one in agreement_bodies.SENT:
        source, destination = (PAYEE, PAYER) if one.answering else (PAYER, PAYEE)
        what, whose = _ENDPOINTS[one.resource]
        role = whose.replace("PAYEE", "PAYER") if one.answering else whose
        nowhere = f"No FSPIOP_CALLBACK_URL_{what} {agreement_bodies.ID}{role} {NOBODY}"
        is_judged = one.method == "POST" and one.resource in ("quotes", "bulkQuotes")
        detail = f"Unsupported participant '{NOBODY}'" if is_judged else nowhere
        question = questions[one.resource]
        of_answer = (Sent("GET", question.path, destination, source, query=question.query),)
        rows[f"{one.method} {one.path.replace(agreement_bodies.ID, '{ID}')}"] = Row(
            Sent(one.method, one.path, source, destination, one.body, one.query),
            before=of_answer if one.answering else (),
            good=forwarded(),
            for_stranger=error("3201", f"Destination FSP Error - {detail}"),
            id_unknown={"POST": None, "GET": forwarded()}.get(one.method, UNREQUESTED),
        )
    return rows


NO_REQUESTER = refused(400, "3200", "Generic ID not found - Requester FSP not found")
NO_DESTINATION = error("3201", "Destination FSP Error - Destination FSP not found")
ENTRY = {"fspId": PAYEE}
NO_ORACLE = error("3003", f"Add Party information error - Oracle type: {UNKNOWN_TYPE} not found")


def _parties(tail: str, identifier: str, not_found: Expected, register: Sent) -> dict[str, Row]:
    """Section 6.3: an answer is forwarded unchanged, if its receiver waits for it."""
    path = f"/parties{identifier}"
    answers = {
        f"PUT /parties{tail}": Sent("PUT", path, PAYEE, PAYER, PARTY),
        f"PUT /parties{tail}/error": Sent("PUT", f"{path}/error", PAYEE, PAYER, ERROR),
    }
    return {
        f"GET /parties{tail}": Row(
            Sent("GET", path, PAYER),
            before=(register,),
            good=forwarded(PAYEE),
            for_stranger=NO_DESTINATION,
            id_unknown=not_found,
            type_unknown=NO_ORACLE,
        ),
        **{
            name: Row(
                sent,
                before=(Sent("GET", path, PAYER, PAYEE),),
                good=forwarded(),
                for_stranger=NO_DESTINATION,
                id_unknown=UNREQUESTED,
                type_unknown=UNREQUESTED,
            )
            for name, sent in answers.items()
        },
    }


def _participants(tail: str, identifier: str, register: Sent) -> dict[str, Row]:
    """Section 6.4, in the API's shapes."""
    path = f"/participants{identifier}"
    known = hub_answer(ENTRY)
    return {
        f"GET /participants{tail}": Row(
            Sent("GET", path, PAYER),
            before=(register,),
            good=known,
            for_stranger=known,
            id_unknown=error("3204", "Party not found"),
            type_unknown=NO_ORACLE,
        ),
        f"POST /participants{tail}": Row(
            register,
            good=known,
            for_stranger=known,
            id_unknown=known,
            type_unknown=NO_ORACLE,
        ),
        f"PUT /participants{tail}": Row(
            Sent("PUT", path, PAYEE, None, ENTRY),
            before=(register,),
            good=known,
            for_stranger=NO_DESTINATION,
            id_unknown=error("3003", "Add Party information error - Party not found"),
            type_unknown=NO_ORACLE,
        ),
        f"PUT /participants{tail}/error": Row(
            Sent("PUT", f"{path}/error", PAYEE, PAYER, ERROR),
            good=UNREQUESTED,  # the hub asks no DFSP for participants: it answers itself
            for_stranger=NO_DESTINATION,
            id_unknown=UNREQUESTED,
            type_unknown=UNREQUESTED,
        ),
        f"DELETE /participants{tail}": Row(
            Sent("DELETE", path, PAYEE),
            before=(register,),
            good=known,
            for_stranger=known,
            id_unknown=error("3040", "Delete Party information error - Party not found"),
            type_unknown=NO_ORACLE,
        ),
    }


def _batches() -> dict[str, Row]:
    """Section 6.4: the hub sends no batches, so an answer to one leads to nothing."""
    listed = {"partyIdType": "MSISDN", "partyIdentifier": "1", "fspId": PAYEE}
    batch: dict[str, Any] = {"requestId": REQUEST_ID, "partyList": [listed], "currency": "USD"}
    answer = {"partyList": [{"partyId": listed}], "currency": "USD"}
    path = f"/participants/{REQUEST_ID}"
    return {
        "POST /participants": Row(
            Sent("POST", "/participants", PAYEE, None, batch),
            good=hub_answer(answer),
            for_stranger=hub_answer(answer),
        ),
        "PUT /participants/{ID}": _ignored(Sent("PUT", path, PAYEE, PAYER, answer)),
        "PUT /participants/{ID}/error": _ignored(Sent("PUT", f"{path}/error", PAYEE, PAYER, ERROR)),
    }


def _ignored(sent: Sent) -> Row:
    return Row(sent, good=silence, for_stranger=silence, id_unknown=silence)


def _all() -> dict[str, Row]:
    rows = {**_transfers(), **_bulk_transfers(), **_agreement(), **_batches()}
    no_proxy = error("3204", "Party not found - No proxy found to start inter-scheme discovery flow")
    filtered = error("3200", "Generic ID not found - Empty oracle partyList, filtered based on callbackEndpointType")
    for tail, identifier, not_found in (
        ("/{Type}/{ID}", "/MSISDN/27710101999", no_proxy),
        ("/{Type}/{ID}/{SubId}", "/MSISDN/27710101999/100", filtered),
    ):
        register = Sent("POST", f"/participants{identifier}", PAYEE, None, ENTRY)
        rows |= _parties(tail, identifier, not_found, register) | _participants(tail, identifier, register)
    return rows


ROWS: Mapping[str, Row] = _all()
"""The rows by method and path, as in the description."""
