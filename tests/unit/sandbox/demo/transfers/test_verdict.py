"""The check of a transfer: it is right only if both sides received exactly the callbacks that they must receive."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from sandbox.demo.transfers.expectations import CallbackLabels, TransferCase, TransferKind
from sandbox.demo.transfers.session import TransferResult
from sandbox.demo.transfers.verdict import Verdict, check_transfer
from sandbox.dfsp.messages import Answer, Callback, CallbackKind
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp

LABELS = CallbackLabels("Hub", confirms_to_payee=True)


class Scene:
    """One transfer from ada to bea, and the callbacks that each received."""

    def __init__(self, kind: TransferKind) -> None:
        self.ada = SimulatedDfsp("ada", "http://nowhere")
        self.bea = SimulatedDfsp("bea", "http://nowhere")
        order = self.ada.order(self.bea, 10_000, "XTS")
        self.result = TransferResult(TransferCase(kind, "ada", "bea", 10_000), order, Answer(202, {}, 1_000, 2_000))
        self.fulfilment = self.bea.fulfilment_of(order.terms.ilp_packet)

    def receive(self, dfsp: SimulatedDfsp, label: str, source: str, **content: object) -> None:
        word, _, outcome = label.partition(" ")
        kind = CallbackKind(word)
        if kind is CallbackKind.ERROR:
            content["errorInformation"] = {"errorCode": outcome}
        elif kind is not CallbackKind.PREPARE:
            content["transferState"] = outcome
        body = self.result.order.body() if kind is CallbackKind.PREPARE else json.dumps(content).encode()
        headers = {"fspiop-source": source}
        dfsp._inbox.put(Callback(kind, self.result.order.transfer_id, headers, body, dict(content), 5_000))

    def receive_commit(self) -> None:
        self.receive(self.bea, "POST", "ada")
        self.receive(self.ada, "PUT COMMITTED", "bea", fulfilment=self.fulfilment)
        self.receive(self.bea, "PUT COMMITTED", "Hub", fulfilment=self.fulfilment)

    def answer_gets(self, state: str = "COMMITTED", cause: str = "") -> None:
        content: dict[str, object] = {"fulfilment": self.fulfilment} if state == "COMMITTED" else {}
        if cause:
            content["extensionList"] = {"extension": [{"key": "cause", "value": f"{cause}: why"}]}
        for dfsp in (self.ada, self.bea):
            self.receive(dfsp, f"PUT {state}", "Hub", **content)

    def verdict(self) -> Verdict:
        return check_transfer(self.result, {"ada": self.ada, "bea": self.bea}, LABELS)


def problems(scene: Scene) -> Sequence[str]:
    return scene.verdict().problems


def test_right_commit_is_right() -> None:
    scene = Scene(TransferKind.COMMITTED)
    scene.receive_commit()
    scene.answer_gets()

    verdict = scene.verdict()

    assert verdict.problems == []
    assert ("COMMITTED", 0, 5, 4_000) == (verdict.ending, verdict.repeats, verdict.callbacks, verdict.latency_ns)


def test_right_refusal_is_right() -> None:
    scene = Scene(TransferKind.OVER_CAP)
    scene.receive(scene.ada, "ERROR 4200", "Hub")
    scene.answer_gets("ABORTED", "4200")

    verdict = scene.verdict()

    assert verdict.problems == []
    assert ("ABORTED (4200)", None) == (verdict.ending, verdict.latency_ns)


def test_missing_confirmation_is_reported() -> None:
    scene = Scene(TransferKind.COMMITTED)
    scene.receive(scene.bea, "POST", "ada")
    scene.receive(scene.ada, "PUT COMMITTED", "bea", fulfilment=scene.fulfilment)
    scene.answer_gets()

    assert problems(scene) == ["payee missed PUT COMMITTED from hub"]


def test_contradiction_is_reported() -> None:
    scene = Scene(TransferKind.COMMITTED)
    scene.receive_commit()
    scene.receive(scene.ada, "ERROR 3303", "Hub")
    scene.answer_gets()

    assert problems(scene) == ["payer got ERROR 3303 from hub, unexpected"]


def test_repeated_callback_is_counted_and_allowed() -> None:
    scene = Scene(TransferKind.COMMITTED)
    scene.receive_commit()
    scene.receive(scene.ada, "PUT COMMITTED", "bea", fulfilment=scene.fulfilment)
    scene.answer_gets()

    verdict = scene.verdict()

    assert verdict.problems == []
    assert verdict.repeats == 1


def test_wrong_sender_is_reported() -> None:
    scene = Scene(TransferKind.REJECTED)
    scene.receive(scene.bea, "POST", "ada")
    scene.receive(scene.ada, "ERROR 5105", "Hub")
    scene.receive(scene.bea, "ERROR 5105", "Hub")
    scene.answer_gets("ABORTED", "5105")

    assert problems(scene) == ["payer missed ERROR 5105 from payee", "payer got ERROR 5105 from hub, unexpected"]


def test_wrong_cause_is_reported() -> None:
    scene = Scene(TransferKind.OVER_CAP)
    scene.receive(scene.ada, "ERROR 4200", "Hub")
    scene.answer_gets("ABORTED", "4001")

    assert problems(scene) == [
        "payer got ABORTED (4001) on GET, not ABORTED (4200)",
        "payee got ABORTED (4001) on GET, not ABORTED (4200)",
    ]


@pytest.mark.parametrize("fulfilment", [None, "", "A" * 43, 7])
def test_fulfilment_that_does_not_fit_is_reported(fulfilment: object) -> None:
    scene = Scene(TransferKind.COMMITTED)
    scene.receive(scene.bea, "POST", "ada")
    scene.receive(scene.ada, "PUT COMMITTED", "bea", fulfilment=fulfilment)
    scene.receive(scene.bea, "PUT COMMITTED", "Hub", fulfilment=scene.fulfilment)
    scene.answer_gets()

    assert problems(scene) == [f"payer: fulfilment {fulfilment!r} does not fit the condition"]


def test_fulfilment_in_a_patch_is_reported() -> None:
    scene = Scene(TransferKind.RESERVED)
    scene.receive(scene.bea, "POST", "ada")
    scene.receive(scene.ada, "PUT COMMITTED", "Hub", fulfilment=scene.fulfilment)
    scene.receive(scene.bea, "PATCH COMMITTED", "Hub", fulfilment=scene.fulfilment)
    scene.answer_gets()

    assert problems(scene) == ["payee: the PATCH carries the fulfilment"]


def test_no_callbacks_at_all_are_reported_one_by_one() -> None:
    assert problems(Scene(TransferKind.TIMED_OUT)) == [
        "payer missed ERROR 3303 from hub",
        "payer missed PUT ABORTED from hub",
        "payer got nothing on GET, not ABORTED (3303)",
        "payee missed POST from payer",
        "payee missed ERROR 3303 from hub",
        "payee missed PUT ABORTED from hub",
        "payee got nothing on GET, not ABORTED (3303)",
    ]
