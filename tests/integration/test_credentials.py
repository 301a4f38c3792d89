"""A participant's keys at a running hub: what is revoked is refused at once, and /keys no longer has it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clearinghub.security.certificates import spki_id
from clearinghub.security.key_files import jose_key, new_key
from clearinghub.security.signature import Signer
from clearinghub.tools.client.operations import Operations
from sandbox.dfsp.messages import Answer
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from tests.integration.hub_under_test import CURRENCY, HubUnderTest, running_hub, scheme_of

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]
AMOUNT_UNITS = 100


async def known_keys(hub: HubUnderTest) -> set[str]:
    async with aiohttp.ClientSession() as session, session.get(f"{hub.urls.fspiop}/keys") as response:
        document = await response.json(content_type=None)
    return {one["kid"] for one in document["keys"]}


async def test_a_revoked_key_is_refused_within_a_second(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    old, new = new_key("ec"), new_key("ec")
    async with (
        running_hub(kafka_bootstrap, topic_prefix, tmp_path / "hub", jws_validate=True) as hub,
        scheme_of(hub, "payer1", "payee1") as (scheme, [_unsigned, payee]),
        SimulatedDfsp("payer1", hub.urls.fspiop, signer=Signer(old)) as before,
        SimulatedDfsp("payer1", hub.urls.fspiop, signer=Signer(new)) as after,
    ):
        operations = Operations(scheme.admin)

        async def post(payer: SimulatedDfsp) -> Answer:
            return await payer.post_transfer(payer.order(payee, AMOUNT_UNITS, CURRENCY))

        assert "3105" == (await post(before)).error_code, "no key is known yet"
        for key in (old, new):
            pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
            added = await operations.add_credential("payer1", "jws", pem)
            if key is old:
                assert "3105" == (await post(before)).error_code, "a pending key does not count"
            await operations.change_credential("payer1", added.credential_id, {"state": "ACTIVE", "reason": "test"})
        # While a key is replaced both count, and no request fails.
        assert [202, 202] == [(await post(one)).status for one in (before, after)]
        assert {jose_key(key.public_key()).thumbprint() for key in (old, new)} == await known_keys(hub)

        await operations.change_credential("payer1", spki_id(old.public_key()), {"state": "REVOKED", "reason": "test"})
        revoked_at = time.monotonic()
        while (await post(before)).status == 202:
            assert time.monotonic() - revoked_at < 1
            await asyncio.sleep(0.01)

        assert [202] * 5 == [(await post(after)).status for _again in range(5)]
        assert "3105" == (await post(before)).error_code
        assert {jose_key(new.public_key()).thumbprint()} == await known_keys(hub)
