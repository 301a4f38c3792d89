"""Requests of every route of both surfaces, good and bad, at a running hub: `make fuzz REQUESTS=20000 SEED=...`."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from itertools import count
from random import Random

import pytest
from schemathesis import BaseSchema, Case, GenerationMode

from tests.fuzz.cases import Steering, corner_cases, described, operations, random_cases
from tests.fuzz.hub import FuzzedHub, fuzzed_hub
from tests.fuzz.judge import Judge

REQUESTS = int(os.environ["FUZZ_REQUESTS"])
SEED = int(os.environ.get("FUZZ_SEED") or secrets.randbits(32))
LASTS_MAX_S = 1_200
SURFACES = ("fspiop-transfers", "admin")
FORMS_AT_ONCE = 25  # cases of an operation that are made before the next one's turn
INPUTS = ("prepare", "fulfil", "lookup", "command")
# What the ledger writes while it answers a request; `transfers` follows behind a callback's decision.
ADMIN_OUTPUTS = ("participants", "positions", "transfers")
FSPIOP_INPUTS = ("prepare", "fulfil")

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(LASTS_MAX_S)]


@pytest.fixture(scope="module")
def hub(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FuzzedHub]:
    print(f"\nfuzz: SEED={SEED} REQUESTS={REQUESTS}")
    with fuzzed_hub(kafka_bootstrap, f"fuzz{SEED:x}-", tmp_path_factory.mktemp("fuzz")) as running:
        yield running


def cases(schema: BaseSchema, mode: GenerationMode, seed: int) -> Iterator[Case]:
    """The corners once, then random ones without end."""
    for operation in operations(schema):
        yield from corner_cases(schema, operation, mode)
    for number in count(seed):
        for operation in operations(schema):
            yield from random_cases(operation, mode, FORMS_AT_ONCE, number)


def judge_of(hub: FuzzedHub, surface: str) -> Judge:
    return Judge(hub.urls.admin if surface == "admin" else hub.urls.fspiop)


def tell(surface: str, mode: str, judge: Judge, started_at: float) -> None:
    print(f"fuzz: {surface} {mode}: {judge.sent} requests, {judge.statuses}, {time.monotonic() - started_at:.0f} s")


@pytest.mark.parametrize("surface", SURFACES)
def test_an_invalid_request_is_refused_and_changes_nothing(hub: FuzzedHub, surface: str) -> None:
    judge, steering = judge_of(hub, surface), Steering(Random(SEED), hub.account_ids())
    outputs = (*ADMIN_OUTPUTS, "notification", "timeout", "credit")
    shown, written, started_at = hub.snapshot(), hub.quiet(*INPUTS, *outputs), time.monotonic()

    for case in cases(described(surface), GenerationMode.NEGATIVE, SEED):
        if judge.sent >= REQUESTS // 4:
            break
        judge.send(steering.steer(case))
        now = hub.written(*INPUTS)
        if now != (before := {place: written[place] for place in now}):
            judge.blame(case, "Recorded though invalid", f"{before} -> {now}")
            written = hub.quiet(*INPUTS, *outputs)

    tell(surface, "invalid", judge, started_at)
    assert "" == judge.report()
    assert shown == hub.snapshot()
    assert written == hub.quiet(*INPUTS, *outputs)


@pytest.mark.parametrize("surface", SURFACES[::-1])
def test_a_request_as_described_is_answered_as_described(hub: FuzzedHub, surface: str) -> None:
    """And one that is refused all the same changes nothing. The admin surface first: no transfer is on its way yet."""
    judge, steering = judge_of(hub, surface), Steering(Random(SEED), hub.account_ids())
    watched = ADMIN_OUTPUTS if surface == "admin" else FSPIOP_INPUTS
    written, started_at = hub.quiet(*watched), time.monotonic()

    for case in cases(described(surface), GenerationMode.POSITIVE, SEED):
        if judge.sent >= REQUESTS // 4:
            break
        response = judge.send(steering.steer(case))
        if response is None:
            continue
        if response.status_code == 202 and surface == "admin":
            written = hub.quiet(*watched)  # the hub's side of funds follows behind the answer
            continue
        now = hub.written(*watched)
        if response.status_code >= 400 and now != written:
            judge.blame(case, "Changed something though refused", f"{written} -> {now}")
        written = now

    tell(surface, "as described", judge, started_at)
    assert "" == judge.report()
