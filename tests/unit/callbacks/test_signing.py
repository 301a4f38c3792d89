"""Who signs a callback: the hub what it says itself, nobody what it forwards (protocol 1.7, 10.1)."""

from __future__ import annotations

import pytest

from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.sender import CallbackRequest, build_request
from clearinghub.security.signature import HEADER, Signer, Verifier
from tests.unit.callbacks.fakes import PLAIN, Endpoints
from tests.unit.security.samples import FixedKeys, ec_key, judged, rsa_key, signed

NOW_MS = 1_700_000_000_123
HUB = Signer(rsa_key())
VERIFIER = Verifier(FixedKeys(Hub=[rsa_key()], payeefsp=[ec_key()]))
SENDER = Signer(ec_key())


def sent(notification: Notification, signer: Signer | None = HUB, now_ms: int = NOW_MS) -> dict[str, str]:
    request = build_request(
        notification, Endpoints("payerfsp"), hub_name="Hub", content_version="1.1", now_ms=now_ms, signer=signer
    )
    assert isinstance(request, CallbackRequest)
    return request.headers


@pytest.mark.parametrize("method", ["PUT", "PATCH", "POST"])
def test_what_the_hub_says_it_signs(method: str) -> None:
    notification = PLAIN.changed(method=method, headers={HEADER: "of somebody else"})

    headers = sent(notification)

    assert "good" == judged(VERIFIER, headers, notification.body, method, notification.message.path)


def test_its_date_is_under_the_signature_so_every_attempt_is_signed_anew() -> None:
    first, second = sent(PLAIN), sent(PLAIN, now_ms=NOW_MS + 5_000)

    assert first["date"] != second["date"]
    assert "good" == judged(VERIFIER, second, PLAIN.body, "PUT", PLAIN.message.path)
    assert "protected Date is not the header's" == judged(
        VERIFIER, first | {"date": second["date"]}, PLAIN.body, "PUT", PLAIN.message.path
    )


def test_without_a_key_it_signs_nothing() -> None:
    assert HEADER not in sent(PLAIN, signer=None)


@pytest.mark.parametrize("destination", ["payerfsp", "PayerFsp", None])
def test_what_it_forwards_keeps_the_senders_signature_and_that_stays_good(destination: str | None) -> None:
    original = signed(SENDER, PLAIN.body, fspiop_uri=PLAIN.message.path, fspiop_destination=destination)
    forwarded = PLAIN.changed(source="payeefsp", headers=original | {"accept": "any", "x-client-id": "payeefsp"})

    headers = sent(forwarded)

    assert original[HEADER] == headers[HEADER]
    assert "good" == judged(VERIFIER, headers, forwarded.body, "PUT", forwarded.message.path)


def test_what_came_unsigned_is_forwarded_unsigned() -> None:
    assert HEADER not in sent(PLAIN.changed(source="payeefsp"))
