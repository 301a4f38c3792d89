"""Signatures end to end: the last receiver of a message can verify who wrote it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from clearinghub.security.key_directory import KeyDirectory
from clearinghub.security.key_files import new_key, read_private_key, write_key_pair
from clearinghub.security.signature import HEADER, Signer, Verifier
from sandbox.dfsp.behaviour import Behaviour
from sandbox.dfsp.messages import Callback
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from tests.integration.hub_under_test import CURRENCY, HubUnderTest, running_hub, scheme_of
from tests.unit.security.samples import FixedKeys

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]
UNIT = 10_000
KINDS = {"Hub": "rsa", "payer1": "rsa", "payee1": "ec"}


class Signed:
    """A hub and two DFSPs that sign and verify."""

    def __init__(self, hub: HubUnderTest, keys: Path, payer: SimulatedDfsp, payee: SimulatedDfsp) -> None:
        self.hub = hub
        self.keys = keys
        self.payer = payer
        self.payee = payee

    def is_signed_by(self, name: str, callback: Callback, method: str, path: str) -> bool:
        """Whether a callback, as it arrived, has the signature of `signer`, checked with that key alone."""
        key = read_private_key(self.keys / f"{name}.key")
        verifier = Verifier(FixedKeys(**{name: [key]}))
        return name == callback.source and verifier.fault(method, path, dict(callback.headers), callback.body) is None


def a_signing_dfsp(keys: Path, name: str, hub_url: str) -> SimulatedDfsp:
    signer = Signer(read_private_key(keys / f"{name}.key"))
    return SimulatedDfsp(name, hub_url, signer=signer, verifier=Verifier(KeyDirectory(keys, 1_000)))


@pytest.fixture
async def scene(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Signed]:
    keys = tmp_path / "keys"
    for name, kind in KINDS.items():
        write_key_pair(keys, name, new_key(kind))
    settings = {
        "jws_validate": True,
        "jws_keys_dir": keys,
        "jws_keys_interval_ms": 100,
        "jws_sign": True,
        "jws_private_key_file": keys / "Hub.key",
    }
    async with (
        running_hub(kafka_bootstrap, topic_prefix, tmp_path / "hub", **settings) as hub,
        scheme_of(hub, "payer1", "payee1", cap_units=1_000 * UNIT, make_dfsp=partial(a_signing_dfsp, keys)) as (
            _scheme,
            [payer, payee],
        ),
    ):
        yield Signed(hub, keys, payer, payee)


async def callback_of(dfsp: SimulatedDfsp, transfer_id: str, label: str) -> Callback:
    """Wait for a callback; a DFSP here keeps only what it has verified."""
    return await dfsp.wait_for(transfer_id, lambda one: one.label == label)


async def test_signatures_from_end_to_end(scene: Signed) -> None:
    await committed(scene)
    await committed_after_reserved(scene)
    await rejected(scene)
    await fulfilled_wrongly(scene)
    await queried(scene)
    await unsigned(scene)
    await keys_replaced(scene)


async def committed(scene: Signed) -> None:
    """POST and PUT are the DFSPs' own, byte by byte; the confirmation is the hub's."""
    order = scene.payer.order(scene.payee, 10 * UNIT, CURRENCY)
    assert 202 == (await scene.payer.post_transfer(order)).status
    path = f"/transfers/{order.transfer_id}"

    forwarded = await callback_of(scene.payee, order.transfer_id, "POST")
    assert scene.is_signed_by("payer1", forwarded, "POST", "/transfers")
    fulfilled = await callback_of(scene.payer, order.transfer_id, "PUT COMMITTED")
    assert scene.is_signed_by("payee1", fulfilled, "PUT", path)
    confirmed = await callback_of(scene.payee, order.transfer_id, "PUT COMMITTED")
    assert scene.is_signed_by("Hub", confirmed, "PUT", path)
    said, repeated = json.loads(fulfilled.body), json.loads(confirmed.body)
    assert said["fulfilment"] == repeated["fulfilment"]
    assert said["transferState"] == repeated["transferState"] == "COMMITTED"
    assert fulfilled.headers[HEADER] != confirmed.headers[HEADER]


async def committed_after_reserved(scene: Signed) -> None:
    order = scene.payer.order(scene.payee, UNIT, CURRENCY, behaviour=Behaviour.RESERVE)
    assert 202 == (await scene.payer.post_transfer(order)).status
    path = f"/transfers/{order.transfer_id}"

    assert scene.is_signed_by("Hub", await callback_of(scene.payer, order.transfer_id, "PUT COMMITTED"), "PUT", path)
    assert scene.is_signed_by(
        "Hub", await callback_of(scene.payee, order.transfer_id, "PATCH COMMITTED"), "PATCH", path
    )


async def rejected(scene: Signed) -> None:
    order = scene.payer.order(scene.payee, UNIT, CURRENCY, behaviour=Behaviour.REJECT)
    assert 202 == (await scene.payer.post_transfer(order)).status
    path = f"/transfers/{order.transfer_id}/error"

    assert scene.is_signed_by("payee1", await callback_of(scene.payer, order.transfer_id, "ERROR 5105"), "PUT", path)
    assert scene.is_signed_by("Hub", await callback_of(scene.payee, order.transfer_id, "ERROR 5105"), "PUT", path)


async def fulfilled_wrongly(scene: Signed) -> None:
    order = scene.payer.order(scene.payee, UNIT, CURRENCY, behaviour=Behaviour.WRONG_FULFILMENT)
    assert 202 == (await scene.payer.post_transfer(order)).status
    path = f"/transfers/{order.transfer_id}/error"

    for dfsp in (scene.payer, scene.payee):
        assert scene.is_signed_by("Hub", await callback_of(dfsp, order.transfer_id, "ERROR 3100"), "PUT", path)


async def queried(scene: Signed) -> None:
    unknown = "b51ec534-ee48-4575-b6a9-ead2955b8069"
    assert 202 == (await scene.payer.get_transfer(unknown)).status

    answer = await callback_of(scene.payer, unknown, "ERROR 3208")
    assert scene.is_signed_by("Hub", answer, "PUT", f"/transfers/{unknown}/error")


async def unsigned(scene: Signed) -> None:
    """A message that the payer has not signed is refused at once, and nobody is notified."""
    async with SimulatedDfsp("payer1", scene.hub.urls.fspiop) as impostor:
        order = impostor.order(scene.payee, UNIT, CURRENCY)
        answer = await impostor.post_transfer(order)

    assert (400, "3105") == (answer.status, answer.error_code)
    assert [] == scene.payee.callbacks_of(order.transfer_id)


async def keys_replaced(scene: Signed) -> None:
    """While the hub runs, a DFSP's new key is valid together with the old one, then alone."""
    write_key_pair(scene.keys / "new", "payer1", new_key("rsa"))
    old, new = (scene.keys / "payer1.pem").read_bytes(), (scene.keys / "new/payer1.pem").read_bytes()
    renewed = Signer(read_private_key(scene.keys / "new/payer1.key"))
    async with SimulatedDfsp("payer1", scene.hub.urls.fspiop, signer=renewed) as after:
        replace_key(scene.keys / "payer1.pem", old + new)
        await asyncio.sleep(0.2)
        for dfsp in (scene.payer, after):
            assert 202 == (await dfsp.post_transfer(dfsp.order(scene.payee, UNIT, CURRENCY))).status
        replace_key(scene.keys / "payer1.pem", new)
        await asyncio.sleep(0.2)
        assert 202 == (await after.post_transfer(after.order(scene.payee, UNIT, CURRENCY))).status
        answer = await scene.payer.post_transfer(scene.payer.order(scene.payee, UNIT, CURRENCY))
        assert (400, "3105") == (answer.status, answer.error_code)


def replace_key(path: Path, content: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)
