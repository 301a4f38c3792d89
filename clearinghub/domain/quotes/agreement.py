"""What DFSPs agree on before a transfer, and whether the hub forwards it: quotes, transaction requests, authorizations.

The hub forwards the messages and reads little of them (protocol 7): the currencies, the FSPs, and whether the receiver
has an endpoint. It keeps nothing, unless quotes are stored (domain/quotes/stored_quote.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.participant import Participant

QUOTES: Final = "quotes"
BULK_QUOTES: Final = "bulkQuotes"

ENDPOINTS: Final[Mapping[str, str]] = {
    QUOTES: "FSPIOP_CALLBACK_URL_QUOTES",
    BULK_QUOTES: "FSPIOP_CALLBACK_URL_BULK_QUOTES",
    "transactionRequests": "FSPIOP_CALLBACK_URL_TRX_REQ_SERVICE",
    "transactions": "FSPIOP_CALLBACK_URL_TRX_REQ_SERVICE",  # no service of the reference has it: as its requests (1.6)
    "authorizations": "FSPIOP_CALLBACK_URL_AUTHORIZATIONS",
}
"""The endpoint type of each resource: a base URL for all its methods (protocol 5.4)."""

Find: TypeAlias = Callable[[str], Participant | None]
"""Returns the participant of a name, or None."""


class Action(Enum):
    """What a message does; each resource has these four."""

    REQUEST = "request"  # POST
    QUERY = "query"  # GET
    ANSWER = "answer"  # PUT
    ERROR = "error"  # PUT .../error


@dataclass(frozen=True, slots=True)
class Message:
    """The parts of a message that the hub reads.

    `currency` is that of the amount: of POST /quotes, of the first quote of POST /bulkQuotes, of what the payee is to
    receive in PUT /quotes. `payer_fsp` and `payee_fsp` are the FSPs that the body names. `expires_at_ms` is the body's
    expiration, in milliseconds since 1970.
    """

    resource: str
    action: Action
    subject_id: str
    source: str
    destination: str
    currency: str | None = None
    supported_currencies: tuple[str, ...] = ()
    payer_fsp: str | None = None
    payee_fsp: str | None = None
    expires_at_ms: int | None = None
    hash: str | None = None
    has_accept: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """The scheme's rules for quotes: `parties_must_match` refuses a body that names other FSPs than its headers."""

    hub_name: str
    parties_must_match: bool = False


@dataclass(frozen=True, slots=True)
class Forwarded:
    """The message goes to its receiver."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The sender gets an error callback."""

    rejection: Rejection


@dataclass(frozen=True, slots=True)
class Dropped:
    """The sender is no DFSP of the scheme: nobody can be notified, and no DFSP receives a stranger's message."""


Outcome: TypeAlias = Forwarded | Refused | Dropped


def decide(message: Message, find: Find, policy: Policy) -> Outcome:
    """Return whether the message is forwarded, refused or dropped, by the current participants."""
    if is_stranger(message, find, policy):
        return Dropped()
    rejection = _content_rejection(message, find, policy) or missing_endpoint(message, find)
    return Forwarded() if rejection is None else Refused(rejection)


def is_stranger(message: Message, find: Find, policy: Policy) -> bool:
    """Return whether the sender is no DFSP of the scheme.

    The hub sends itself no messages, so one with its name as the source comes from somebody else.
    """
    return message.source == policy.hub_name or find(message.source) is None


def missing_endpoint(message: Message, find: Find) -> Rejection | None:
    """Return error 3201, with the text of the reference's services, if the receiver has no endpoint (protocol 7)."""
    receiver = find(message.destination)
    endpoint = ENDPOINTS[message.resource]
    if receiver is not None and endpoint in receiver.endpoints:
        return None
    if message.resource in (QUOTES, BULK_QUOTES):
        what = "quote" if message.resource == QUOTES else "bulk quote"
        role = "PAYEE" if message.action in (Action.REQUEST, Action.QUERY) else "PAYER"
        detail = f"No {endpoint} found for {what} {message.subject_id} {role} party {message.destination}"
    else:
        singular = message.resource.removesuffix("s")
        detail = f"No {endpoint} endpoint found for {singular} {message.subject_id} for {message.destination}"
    return Rejection(ErrorCode.DESTINATION_FSP_ERROR, detail)


def _content_rejection(message: Message, find: Find, policy: Policy) -> Rejection | None:
    match (message.resource, message.action):
        case ("quotes", Action.REQUEST):
            return _mismatch(message, policy) or _quote_rejection(message, find)
        case ("quotes", Action.ANSWER):
            return _answer_rejection(message, find)
        case ("bulkQuotes", Action.REQUEST):
            return _mismatch(message, policy) or _bulk_quote_rejection(message, find)
    return None


def _quote_rejection(message: Message, find: Find) -> Rejection | None:
    """Check in the reference's order (protocol 7.1): the FSPs of the headers, then those that the body adds."""
    payer, payee = ErrorCode.PAYER_FSP_ID_NOT_FOUND, ErrorCode.DESTINATION_FSP_ERROR
    if message.supported_currencies:
        # The payer can pay in each of these; which currency the payee holds is then a matter of conversion.
        for currency in message.supported_currencies:
            if not _can_hold(message.source, currency, find):
                return _unsupported(payer, message.source)
    elif not _can_hold(message.destination, message.currency, find):
        return _unsupported(payee, message.destination)
    if message.payer_fsp not in (None, message.source) and not _can_hold(message.payer_fsp, message.currency, find):
        return _unsupported(payer, message.payer_fsp)
    if message.payee_fsp not in (None, message.destination) and not _can_hold(
        message.payee_fsp, message.currency, find
    ):
        return _unsupported(payee, message.payee_fsp)
    return None


def _answer_rejection(message: Message, find: Find) -> Rejection | None:
    if message.has_accept:
        detail = f'Update for quote {message.subject_id} failed: "accept" header should not be sent in callbacks.'
        return Rejection(ErrorCode.VALIDATION_ERROR, detail)
    if not _can_hold(message.source, message.currency, find):
        return _unsupported(ErrorCode.DESTINATION_FSP_ERROR, message.source)
    return None


def _bulk_quote_rejection(message: Message, find: Find) -> Rejection | None:
    if not _can_hold(message.source, message.currency, find):
        return _unsupported(ErrorCode.PAYER_FSP_ID_NOT_FOUND, message.source)
    if not _can_hold(message.destination, message.currency, find):
        return _unsupported(ErrorCode.DESTINATION_FSP_ERROR, message.destination)
    return None


def _mismatch(message: Message, policy: Policy) -> Rejection | None:
    if not policy.parties_must_match:
        return None
    if message.payer_fsp not in (None, message.source):
        return Rejection(ErrorCode.VALIDATION_ERROR, "FSPIOP-Source header should match Payer FSP")
    if message.payee_fsp not in (None, message.destination):
        return Rejection(ErrorCode.VALIDATION_ERROR, "FSPIOP-Destination header should match Payee FSP")
    return None


def _can_hold(name: str | None, currency: str | None, find: Find) -> bool:
    """Return whether the participant exists, is active, and has an active POSITION account of the currency."""
    participant = None if name is None else find(name)
    if participant is None or not participant.active or currency is None:
        return False
    account = participant.account(currency, "POSITION")
    return account is not None and account.active


def _unsupported(code: ErrorCode, name: str | None) -> Rejection:
    return Rejection(code, f"Unsupported participant '{name}'")
