"""The messages that simulated DFSPs write, and how they read those of others."""

from __future__ import annotations

import json
import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghub.config import Settings
from clearinghub.tools.client.hub_urls import HubUrls
from sandbox.dfsp.behaviour import Behaviour, chosen_behaviour
from sandbox.dfsp.ilp import decode_base64url, decode_packet, is_fulfilled
from sandbox.dfsp.messages import Callback, CallbackKind
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from sandbox.dfsp.wire import http_date, timestamp

DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def test_order_is_a_transfer_that_its_payee_can_fulfil() -> None:
    payer, payee = SimulatedDfsp("payerbank", "http://nowhere"), SimulatedDfsp("payeewallet", "http://nowhere")

    order = payer.order(payee, 1_005_000, "USD", behaviour=Behaviour.RESERVE)
    body = json.loads(order.body())

    assert (body["payerFsp"], body["payeeFsp"]) == ("payerbank", "payeewallet")
    assert body["amount"] == {"currency": "USD", "amount": "100.5"}
    assert chosen_behaviour(body) is Behaviour.RESERVE
    assert DATE_TIME.fullmatch(body["expiration"])
    assert is_fulfilled(body["condition"], payee.fulfilment_of(body["ilpPacket"]))
    assert not is_fulfilled(body["condition"], payer.fulfilment_of(body["ilpPacket"]))


def test_packet_has_the_amounts_of_the_transfer() -> None:
    payer, payee = SimulatedDfsp("payerbank", "http://nowhere"), SimulatedDfsp("payeewallet", "http://nowhere")
    order = payer.order(payee, 1_005_000, "USD")

    payment = decode_packet(order.terms.ilp_packet)
    transaction = json.loads(decode_base64url(payment.data.decode()))

    assert payment.amount == 10_050
    assert payment.address.startswith("g.payeewallet.msisdn.")
    assert transaction["transactionId"] == order.transfer_id
    assert transaction["amount"] == {"amount": "100.5", "currency": "USD"}


def test_same_order_is_the_same_bytes() -> None:
    dfsp = SimulatedDfsp("payerbank", "http://nowhere")
    order = dfsp.order(dfsp, 1, "XTS")

    assert order.body() == order.body()


def test_times_are_in_the_form_of_fspiop() -> None:
    assert DATE_TIME.fullmatch(timestamp())
    assert (datetime.fromisoformat(timestamp(60)) - datetime.fromisoformat(timestamp())).total_seconds() > 59
    assert re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", http_date())


@pytest.mark.parametrize("behaviour", list(Behaviour))
def test_transfer_chooses_the_behaviour(behaviour: Behaviour) -> None:
    extensions = [{"key": "other", "value": "x"}, {"key": "sandbox", "value": behaviour.value}]

    assert chosen_behaviour({"extensionList": {"extension": extensions}}) is behaviour


@given(json_values)
def test_any_extension_list_is_survived(value: object) -> None:
    assert chosen_behaviour({"extensionList": value}) is Behaviour.COMMIT
    assert chosen_behaviour({"extensionList": {"extension": value}}) is Behaviour.COMMIT
    assert chosen_behaviour({"extensionList": {"extension": [{"key": "sandbox", "value": value}]}}) is Behaviour.COMMIT


@given(st.dictionaries(st.sampled_from(["errorInformation", "extensionList", "amount"]), json_values))
def test_any_callback_can_be_shown(content: dict[str, object]) -> None:
    for kind in CallbackKind:
        callback = Callback(kind, "some", {}, b"", content, 0)
        assert callback.label.startswith(kind.value)
        assert callback.shown
        assert callback.cause is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "127.0.0.1"])
def test_hub_is_reached_on_this_machine(host: str) -> None:
    urls = HubUrls.of(Settings(bind_host=host, fspiop_port=1, admin_port=2))

    assert ("http://127.0.0.1:1", "http://127.0.0.1:2") == (urls.fspiop, urls.admin)
