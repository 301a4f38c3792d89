"""Whose requests the FSPIOP port takes: each kind of certificate, in each profile, with each method (docs/security.md).

What is not answered with 2xx has recorded nothing.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.web.tls.world import PAYEE, PAYER, REQUESTS, Scheme, SecureHub, request

CLOSED: Final = "closed"
NOT_REGISTERED: Final = "401 3000 Generic client error - credential is not registered"
OTHERS_SOURCE: Final = "400 3100 Generic validation error - Invalid fspiop-source header"
ACCEPTED: Final = {
    "POST": "202",
    "PUT": "200",
    "GET": "202",
    "PATCH": "501 2002 Not implemented",
    "DELETE": "202",
    "PUT, an error": "200",
    "POST, of a party": "202",
}
ANSWERS: Final = {
    "good": None,
    "good, RSA": None,
    "none": CLOSED,
    "another's": OTHERS_SOURCE,
    "another authority's": CLOSED,
    "expired": CLOSED,
    "not yet valid": CLOSED,
    "a server's": CLOSED,
    "unregistered": NOT_REGISTERED,
    "revoked": NOT_REGISTERED,
    "same name, another key": NOT_REGISTERED,
}


def expected(answer: str | None, method: str) -> str:
    return ACCEPTED[method] if answer is None else answer


def is_recorded(hub: SecureHub) -> bool:
    return bool(hub.recorder.records)


@pytest.mark.parametrize("kind", ANSWERS)
async def test_full_takes_requests_of_whose_certificate_it_is(hub: SecureHub, scheme: Scheme, kind: str) -> None:
    context = scheme.context(scheme.clients.get(kind))
    for method, (verb, path, body) in REQUESTS.items():
        hub.recorder.records.clear()

        answer = await hub.ask(context, request(verb, path, body))

        assert expected(ANSWERS[kind], method) == answer, method
        assert answer.startswith("2") == is_recorded(hub), method


async def test_full_needs_tls_1_3(make_hub: Callable[..., Any], scheme: Scheme) -> None:
    older = scheme.context(scheme.clients["good"], ssl.TLSVersion.TLSv1_2)
    good = request(*REQUESTS["POST"])

    assert CLOSED == await (await make_hub()).ask(older, good)


async def test_an_operator_may_allow_tls_1_2(make_hub: Callable[..., Any], scheme: Scheme) -> None:
    older = scheme.context(scheme.clients["good"], ssl.TLSVersion.TLSv1_2)
    hub = await make_hub(tls_min="1.2")

    assert "202" == await hub.ask(older, request(*REQUESTS["POST"]))
    assert CLOSED == await hub.ask(
        scheme.context(scheme.clients["expired"], ssl.TLSVersion.TLSv1_2), request(*REQUESTS["POST"])
    )


async def test_suites_without_forward_secrecy_are_refused_in_tls_1_2(
    make_hub: Callable[..., Any], scheme: Scheme
) -> None:
    older = scheme.context(scheme.clients["good"], ssl.TLSVersion.TLSv1_2)
    older.set_ciphers("ECDHE-ECDSA-AES128-SHA256:AES128-GCM-SHA256")
    hub = await make_hub(tls_min="1.2")

    assert CLOSED == await hub.ask(older, request(*REQUESTS["POST"]))


async def test_plain_http_is_refused(hub: SecureHub) -> None:
    plain = await hub.connect(None)

    assert CLOSED == await plain.ask(request(*REQUESTS["POST"]))
    assert [] == hub.recorder.records


async def test_names_that_a_client_sends_say_nothing_in_full(hub: SecureHub, scheme: Scheme) -> None:
    escaped = scheme.clients["another's"].escaped
    forged = [("x-client-id", PAYEE), ("X-Forwarded-Client-Cert", f'Cert="{escaped}"'), ("X-Client-Cert", escaped)]
    context = scheme.context(scheme.clients["good"])
    stranger = scheme.context(scheme.clients["unregistered"])

    for header in forged:
        assert "202" == await hub.ask(context, request(*REQUESTS["POST"], headers=[header]))
        assert OTHERS_SOURCE == await hub.ask(context, request(*REQUESTS["PUT"], headers=[header], source=PAYEE))
        assert NOT_REGISTERED == await hub.ask(stranger, request(*REQUESTS["POST"], headers=[header]))


async def test_health_needs_a_certificate_of_the_scheme_but_no_registered_one(hub: SecureHub, scheme: Scheme) -> None:
    stranger = scheme.context(scheme.clients["unregistered"])

    for path in ("/health", "/ready"):
        assert "200" == await hub.ask(stranger, request("GET", path))
        assert CLOSED == await hub.ask(scheme.context(None), request("GET", path))
    for path in ("/metrics", "/documentation"):
        assert NOT_REGISTERED == await hub.ask(stranger, request("GET", path))
        answer = await hub.ask(scheme.context(scheme.clients["good"]), request("GET", path))
        assert answer.startswith("404 3002")


class TestGateway:
    """A gateway's connection is its own; it says whose request it is in one header, which must be there once."""

    @pytest.mark.parametrize(
        ("kind", "answer"),
        [
            ("good", "202"),
            ("another's", OTHERS_SOURCE),
            ("unregistered", NOT_REGISTERED),
            ("revoked", NOT_REGISTERED),
            ("same name, another key", NOT_REGISTERED),
        ],
    )
    @pytest.mark.parametrize("header", ["x-forwarded-client-cert", "x-client-cert"])
    async def test_a_forwarded_certificate_counts_as_a_connections(
        self, make_hub: Callable[..., Any], scheme: Scheme, header: str, kind: str, answer: str
    ) -> None:
        hub = await make_hub("gateway", gateway_identity=header)
        escaped = scheme.clients[kind].escaped
        value = escaped if header == "x-client-cert" else f'By=spiffe://hub;Hash=00;Cert="{escaped}";Subject="CN=a, b;"'
        hub.recorder.records.clear()

        assert answer == await hub.ask(
            scheme.context(scheme.gateway), request(*REQUESTS["POST"], headers=[(header, value)])
        )
        assert answer.startswith("2") == is_recorded(hub)

    @pytest.mark.parametrize("method", REQUESTS)
    @pytest.mark.parametrize(("name", "answer"), [(PAYER, None), (PAYEE, OTHERS_SOURCE), ("PAYERFSP", OTHERS_SOURCE)])
    async def test_a_name_counts_as_it_is_written(
        self, make_hub: Callable[..., Any], scheme: Scheme, method: str, name: str, answer: str | None
    ) -> None:
        hub = await make_hub("gateway", gateway_identity="x-client-id")

        seen = await hub.ask(
            scheme.context(scheme.gateway), request(*REQUESTS[method], headers=[("x-client-id", name)])
        )

        assert expected(answer, method) == seen
        assert seen.startswith("2") == is_recorded(hub)

    @pytest.mark.parametrize("header", ["x-client-id", "x-forwarded-client-cert", "x-client-cert"])
    async def test_a_header_that_is_missing_empty_or_there_twice_is_401(
        self, make_hub: Callable[..., Any], scheme: Scheme, header: str
    ) -> None:
        hub = await make_hub("gateway", gateway_identity=header)
        context = scheme.context(scheme.gateway)
        good = {
            "x-client-id": PAYER,
            "x-client-cert": scheme.clients["good"].escaped,
            "x-forwarded-client-cert": f'Cert="{scheme.clients["good"].escaped}"',
        }
        others = [(name, value) for name, value in good.items() if name != header]
        twice = "401 3000 Generic client error - the gateway has named the client more than once"
        missing = "401 3000 Generic client error - the gateway has not named the client"

        assert missing == await hub.ask(context, request(*REQUESTS["POST"], headers=others))
        assert missing == await hub.ask(context, request(*REQUESTS["POST"], headers=[(header, "")]))
        both = [(header, good[header]), (header.title(), good[header])]
        assert twice == await hub.ask(context, request(*REQUESTS["POST"], headers=both))
        assert [] == hub.recorder.records
        assert "202" == await hub.ask(context, request(*REQUESTS["POST"], headers=[(header, good[header]), *others]))

    @pytest.mark.parametrize("kind", [None, *ANSWERS])
    async def test_nobody_but_a_pinned_gateway_is_heard(
        self, make_hub: Callable[..., Any], scheme: Scheme, kind: str | None
    ) -> None:
        hub = await make_hub("gateway", gateway_identity="x-client-id")
        context = scheme.context(None if kind is None else scheme.clients.get(kind))

        assert CLOSED == await hub.ask(context, request(*REQUESTS["POST"], headers=[("x-client-id", PAYER)]))
        assert [] == hub.recorder.records

    async def test_an_authority_among_the_pins_does_not_make_its_certificates_gateways(
        self, make_hub: Callable[..., Any], scheme: Scheme
    ) -> None:
        hub = await make_hub("gateway", gateway_identity="x-client-id")
        both = hub.pins.read_bytes() + (scheme.path / "public/scheme-ca.pem").read_bytes()
        hub.pins.write_bytes(both)
        hub.follow()
        named = request(*REQUESTS["POST"], headers=[("x-client-id", PAYER)])

        assert "202" == await hub.ask(scheme.context(scheme.gateway), named)
        assert "401 3000 Generic client error - credential is not the gateway's" == await hub.ask(
            scheme.context(scheme.clients["good"]), named
        )

    @pytest.mark.parametrize(
        "value",
        [
            "Hash=00;Subject=CN",
            'Cert="{victim}";Cert="{sender}"',
            # An earlier element is the client's own; an open quote would hide where the gateway's begins.
            'Cert="{victim}";By=",Hash=00;Cert="{sender}"',
            "Cert=nothing",
            'Cert="%"',
        ],
    )
    async def test_a_forwarded_header_that_is_not_clear_is_401(
        self, make_hub: Callable[..., Any], scheme: Scheme, value: str
    ) -> None:
        hub = await make_hub("gateway", gateway_identity="x-forwarded-client-cert")
        sent = value.replace("{victim}", scheme.clients["good"].escaped)
        sent = sent.replace("{sender}", scheme.clients["another's"].escaped)

        answer = await hub.ask(
            scheme.context(scheme.gateway), request(*REQUESTS["POST"], headers=[("x-forwarded-client-cert", sent)])
        )

        assert answer.startswith("401 3000"), answer
        assert [] == hub.recorder.records

    async def test_what_the_client_has_forwarded_itself_says_nothing(
        self, make_hub: Callable[..., Any], scheme: Scheme
    ) -> None:
        hub = await make_hub("gateway", gateway_identity="x-forwarded-client-cert")
        victim, sender = scheme.clients["good"].escaped, scheme.clients["another's"].escaped
        for forged in (f'Cert="{victim}"', f"Cert={victim}", f'By="a,b";Cert="{victim}";URI="\\",'):
            value = f'{forged.rstrip(",")},Hash=00;Cert="{sender}"'

            answer = await hub.ask(
                scheme.context(scheme.gateway), request(*REQUESTS["POST"], headers=[("x-forwarded-client-cert", value)])
            )

            assert answer == OTHERS_SOURCE or answer.startswith("401"), answer
        assert [] == hub.recorder.records
