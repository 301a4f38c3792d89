"""The demo's verdict on a transfer: right only if both sides saw exactly what they must have seen."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from sandbox.callback import Answer, Callback, CallbackKind
from sandbox.demo.check import Verdict, judge
from sandbox.demo.kinds import Kind
from sandbox.demo.labels import Labels
from sandbox.demo.plan import Case
from sandbox.demo.report import percentile
from sandbox.demo.stage import Played
from sandbox.dfsp import SimulatedDfsp

LABELS = Labels("Hub", confirms_to_payee=True)


class Scene:
    """One transfer from ada to bea, and the callbacks that each got."""

    def __init__(self, kind: Kind) -> None:
        self.ada = SimulatedDfsp("ada", "http://nowhere")
        self.bea = SimulatedDfsp("bea", "http://nowhere")
        order = self.ada.order(self.bea, 10_000, "XTS")
        self.played = Played(Case(kind, "ada", "bea", 10_000), order, Answer(202, {}, 1_000, 2_000))
        self.fulfilment = self.bea.fulfilment_of(order.terms.ilp_packet)

    def hears(self, dfsp: SimulatedDfsp, label: str, source: str, **content: object) -> None:
        word, _, outcome = label.partition(" ")
        kind = CallbackKind(word)
        if kind is CallbackKind.ERROR:
            content["errorInformation"] = {"errorCode": outcome}
        elif kind is not CallbackKind.PREPARE:
            content["transferState"] = outcome
        body = self.played.order.body() if kind is CallbackKind.PREPARE else json.dumps(content).encode()
        headers = {"fspiop-source": source}
        dfsp._inbox.put(Callback(kind, self.played.order.transfer_id, headers, body, dict(content), 5_000))

    def commits(self) -> None:
        self.hears(self.bea, "POST", "ada")
        self.hears(self.ada, "PUT COMMITTED", "bea", fulfilment=self.fulfilment)
        self.hears(self.bea, "PUT COMMITTED", "Hub", fulfilment=self.fulfilment)

    def answers_get(self, state: str = "COMMITTED", cause: str = "") -> None:
        content: dict[str, object] = {"fulfilment": self.fulfilment} if state == "COMMITTED" else {}
        if cause:
            content["extensionList"] = {"extension": [{"key": "cause", "value": f"{cause}: why"}]}
        for dfsp in (self.ada, self.bea):
            self.hears(dfsp, f"PUT {state}", "Hub", **content)

    def verdict(self) -> Verdict:
        return judge(self.played, {"ada": self.ada, "bea": self.bea}, LABELS)


def problems(scene: Scene) -> Sequence[str]:
    return scene.verdict().problems


def test_right_commit_is_right() -> None:
    scene = Scene(Kind.COMMITTED)
    scene.commits()
    scene.answers_get()

    verdict = scene.verdict()

    assert verdict.problems == []
    assert ("COMMITTED", 0, 5, 4_000) == (verdict.ending, verdict.repeats, verdict.callbacks, verdict.latency_ns)


def test_right_refusal_is_right() -> None:
    scene = Scene(Kind.OVER_CAP)
    scene.hears(scene.ada, "ERROR 4200", "Hub")
    scene.answers_get("ABORTED", "4200")

    verdict = scene.verdict()

    assert verdict.problems == []
    assert ("ABORTED (4200)", None) == (verdict.ending, verdict.latency_ns)


def test_missing_confirmation_is_told() -> None:
    scene = Scene(Kind.COMMITTED)
    scene.hears(scene.bea, "POST", "ada")
    scene.hears(scene.ada, "PUT COMMITTED", "bea", fulfilment=scene.fulfilment)
    scene.answers_get()

    assert problems(scene) == ["payee missed PUT COMMITTED from hub"]


def test_contradiction_is_told() -> None:
    scene = Scene(Kind.COMMITTED)
    scene.commits()
    scene.hears(scene.ada, "ERROR 3303", "Hub")
    scene.answers_get()

    assert problems(scene) == ["payer got ERROR 3303 from hub, unexpected"]


def test_repeated_callback_is_counted_and_allowed() -> None:
    scene = Scene(Kind.COMMITTED)
    scene.commits()
    scene.hears(scene.ada, "PUT COMMITTED", "bea", fulfilment=scene.fulfilment)
    scene.answers_get()

    verdict = scene.verdict()

    assert verdict.problems == []
    assert verdict.repeats == 1


def test_wrong_sender_is_told() -> None:
    scene = Scene(Kind.REJECTED)
    scene.hears(scene.bea, "POST", "ada")
    scene.hears(scene.ada, "ERROR 5105", "Hub")
    scene.hears(scene.bea, "ERROR 5105", "Hub")
    scene.answers_get("ABORTED", "5105")

    assert problems(scene) == ["payer missed ERROR 5105 from payee", "payer got ERROR 5105 from hub, unexpected"]


def test_wrong_cause_is_told() -> None:
    scene = Scene(Kind.OVER_CAP)
    scene.hears(scene.ada, "ERROR 4200", "Hub")
    scene.answers_get("ABORTED", "4001")

    assert problems(scene) == [
        "payer was told ABORTED (4001) on GET, not ABORTED (4200)",
        "payee was told ABORTED (4001) on GET, not ABORTED (4200)",
    ]


@pytest.mark.parametrize("fulfilment", [None, "", "A" * 43, 7])
def test_fulfilment_that_does_not_fit_is_told(fulfilment: object) -> None:
    scene = Scene(Kind.COMMITTED)
    scene.hears(scene.bea, "POST", "ada")
    scene.hears(scene.ada, "PUT COMMITTED", "bea", fulfilment=fulfilment)
    scene.hears(scene.bea, "PUT COMMITTED", "Hub", fulfilment=scene.fulfilment)
    scene.answers_get()

    assert problems(scene) == [f"payer: fulfilment {fulfilment!r} does not fit the condition"]


def test_fulfilment_in_a_patch_is_told() -> None:
    scene = Scene(Kind.RESERVED)
    scene.hears(scene.bea, "POST", "ada")
    scene.hears(scene.ada, "PUT COMMITTED", "Hub", fulfilment=scene.fulfilment)
    scene.hears(scene.bea, "PATCH COMMITTED", "Hub", fulfilment=scene.fulfilment)
    scene.answers_get()

    assert problems(scene) == ["payee: the PATCH carries the fulfilment"]


def test_nothing_heard_is_everything_missed() -> None:
    assert problems(Scene(Kind.TIMED_OUT)) == [
        "payer missed ERROR 3303 from hub",
        "payer missed PUT ABORTED from hub",
        "payer was told nothing on GET, not ABORTED (3303)",
        "payee missed POST from payer",
        "payee missed ERROR 3303 from hub",
        "payee missed PUT ABORTED from hub",
        "payee was told nothing on GET, not ABORTED (3303)",
    ]


@pytest.mark.parametrize(("percent", "expected"), [(0, 10), (50, 20), (75, 30), (76, 40), (95, 40), (100, 40)])
def test_percentile_is_nearest_rank(percent: int, expected: int) -> None:
    assert expected == percentile([10, 20, 30, 40], percent)
