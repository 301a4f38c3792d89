"""Requests of every route of both surfaces, good and bad, at a running hub: `make fuzz REQUESTS=20000 SEED=...`."""

from __future__ import annotations

import os
import secrets
import uuid
from collections import Counter
from collections.abc import Iterator
from itertools import count, zip_longest
from random import Random

import pytest
from schemathesis import GenerationMode

from tests.fuzz.cases import AnyCase, Steering, corner_cases, described, operations, random_cases
from tests.fuzz.hub import FuzzedHub, fuzzed_hub
from tests.fuzz.judge import Judge
from tests.fuzz.settlements import Settlements

REQUESTS = int(os.environ["FUZZ_REQUESTS"])
SEED = int(os.environ.get("FUZZ_SEED") or secrets.randbits(32))
LASTS_MAX_S = 1_200
ACCEPTED = 202
REFUSED_FROM = 400
SURFACES = {
    "fspiop-transfers": 0.2,
    "fspiop-agreement": 0.3,
    "fspiop-parties": 0.3,
    "admin": 0.5,
}  # the share of each in all requests, by the number of routes
CASES_AT_ONCE = 50  # of an operation, before the next one's turn; smaller groups cost more
WATCHED_EVERY = 4  # the broker's answer takes longer than the request
INPUTS = ("prepare", "fulfil", "lookup", "bulk-prepare", "bulk-fulfil", "command", "agreement", "party")
SETTLEMENT = ("settlement", "settlement-windows", "settlements")
OUTPUTS = (
    "participants",
    "positions",
    "transfers",
    "notification",
    "credit",
    "timeout",
    "events",
    "oracle",
    *SETTLEMENT,
)
# The topics to which a refused request must not write. To others, earlier requests that were accepted may still lead.
WATCHED = {
    "admin": ("participants", "positions", "transfers", *SETTLEMENT),
    "fspiop-transfers": ("prepare", "fulfil", "bulk-prepare", "bulk-fulfil"),
    "fspiop-agreement": ("agreement",),
    "fspiop-parties": ("oracle",),  # an accepted request writes to `party` more than once
}

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(LASTS_MAX_S)]


@pytest.fixture(scope="module")
def hub(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FuzzedHub]:
    print(f"\nfuzz: SEED={SEED} REQUESTS={REQUESTS}")
    with fuzzed_hub(kafka_bootstrap, f"fuzz{uuid.uuid4().hex[:8]}-", tmp_path_factory.mktemp("fuzz")) as running:
        yield running


def cases(surface: str, mode: GenerationMode) -> Iterator[AnyCase]:
    """Yield each corner case once, the operations in turn, then random cases for ever."""
    by_example, whole = described(surface, mode)
    corners = [corner_cases(by_example, operation, mode) for operation in operations(by_example)]
    tried: Counter[str] = Counter()
    for turn in zip_longest(*corners):
        for case in turn:
            if case is not None:
                tried[case.operation.label] += 1
                yield case
    few_corners_first = sorted(operations(whole), key=lambda operation: tried[operation.label])
    for number in count(SEED):
        for operation in few_corners_first:
            yield from random_cases(operation, mode, CASES_AT_ONCE, number)


def has_followers(case: AnyCase, surface: str, status: int) -> bool:
    """Whether records may still be written after such an answer.

    A DFSP's answer may visit all partitions after its 200; an operator's change reaches the partitions one by one.
    """
    return status == ACCEPTED or (status < REFUSED_FROM and (surface != "admin" or case.method != "GET"))


def judge_of(hub: FuzzedHub, surface: str) -> Judge:
    base_url = hub.urls.admin if surface == "admin" else hub.urls.fspiop
    return Judge(base_url, sent_max=int(REQUESTS * SURFACES[surface] / 2))


def steering_to(hub: FuzzedHub) -> Steering:
    random = Random(SEED)
    return Steering(random, hub.accounts(), Settlements(random, hub.settlements()))


@pytest.mark.parametrize("surface", SURFACES)
def test_an_invalid_request_is_refused_and_changes_nothing(hub: FuzzedHub, surface: str) -> None:
    judge, steering = judge_of(hub, surface), steering_to(hub)
    written, shown = hub.quiet(*INPUTS, *OUTPUTS), hub.snapshot()

    for case in cases(surface, GenerationMode.NEGATIVE):
        if judge.is_done:
            break
        judge.send(steering.steer(case))

    print(f"fuzz: {surface}, invalid: {judge}")
    judge.must_have_no_faults()
    assert shown == hub.snapshot()
    assert written == hub.quiet(*INPUTS, *OUTPUTS)


@pytest.mark.parametrize("surface", sorted(SURFACES))
def test_a_request_as_described_is_answered_as_described(hub: FuzzedHub, surface: str) -> None:
    """A refused request changes nothing. The admin surface is first, while no transfer is in flight."""
    judge, steering = judge_of(hub, surface), steering_to(hub)
    watched = WATCHED[surface]
    settled = False

    for number, case in enumerate(cases(surface, GenerationMode.POSITIVE)):
        if judge.is_done:
            break
        before = None
        if number % WATCHED_EVERY == 0:
            # After accepted funds, the hub's side of them follows.
            before = hub.written(*watched) if settled else hub.quiet(*watched)
            settled = True
        response = judge.send(steering.steer(case))
        if response is None:
            continue
        steering.settlements.learn(case, response)
        settled = settled and not has_followers(case, surface, response.status_code)
        if before is not None and response.status_code >= REFUSED_FROM and (now := hub.written(*watched)) != before:
            judge.blame(case, "Changed something though refused", f"{before} -> {now}")

    print(f"fuzz: {surface}, as described: {judge}")
    if surface == "admin":
        print(f"fuzz: settlements: {steering.settlements}")
    judge.must_have_no_faults()
