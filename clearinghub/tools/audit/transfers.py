"""All transfers that are not yet final and complete; one that is leaves the memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from clearinghub.tools.audit.life import Life, Phase, judge
from clearinghub.tools.audit.records import TRANSFER, Change, FinalState, Terms
from clearinghub.tools.audit.rules import Findings, Rule
from clearinghub.tools.audit.seen import SeenIds


@dataclass(frozen=True, slots=True)
class Kept:
    """From when on the topics are complete, in milliseconds; 0 where nothing was dropped yet.

    `books_ms` is that of final states and changes of accounts, `requests_ms` that of requests and answers.
    """

    books_ms: int = 0
    requests_ms: int = 0


class Transfers:
    """Puts each transfer's records together, wherever they come from, and judges it when it is complete.

    A transfer's id is unique for its payer only (ADR 6): the same id on two partitions is two transfers.
    """

    def __init__(self, findings: Findings, hub_name: str, settle_ms: int, kept: Kept) -> None:
        """`settle_ms` after its final state a transfer's movements are judged for the first time."""
        self.finished = 0
        self.unjudged = 0  # of which the beginning is no longer kept
        self._findings = findings
        self._hub_name = hub_name
        self._settle_ms = settle_ms
        self._kept = kept
        self._lives: dict[str, list[Life]] = {}
        self._final: deque[tuple[int, Life]] = deque()
        self._closed = SeenIds()

    def request(self, transfer_id: str, partition: int, terms: Terms, at_ms: int, *, of_bulk: bool = False) -> None:
        """Record the request of a transfer, by itself or as an item of a bulk, or of funds."""
        if (partition, transfer_id) in self._closed:
            return  # a repeated request
        life = self._life(transfer_id, partition, at_ms)
        life.of_bulk = life.of_bulk or of_bulk
        # A transfer's second request is a repetition, or is refused; of funds and items it may be the one that counts.
        if not life.requests or ((terms.kind != TRANSFER or life.of_bulk) and terms not in life.requests):
            life.requests = (*life.requests, terms)

    def answer(self, transfer_id: str, source: str) -> None:
        """Record that a DFSP has sent a fulfil."""
        for life in self._lives.get(transfer_id, ()):
            if source not in life.answered_by:
                life.answered_by = (*life.answered_by, source)

    def credit(self, transfer_id: str, participant: str, account_type: str, *, is_dead: bool) -> None:
        """Record that another partition is to move an account; `is_dead` if that is a dead letter."""
        for life in self._lives.get(transfer_id, ()):
            if life.concerns(participant, account_type):
                life.credits += 1
                life.dead_credits += is_dead

    def finish(self, partition: int, final: FinalState, at_ms: int) -> None:
        """Record the final state of a transfer."""
        transfer_id = final.transfer_id
        if (partition, transfer_id) in self._closed:
            self._check_one_final_state(transfer_id, "its books were closed", final)
            return
        life = self._life(transfer_id, partition, at_ms)
        self._check_one_final_state(transfer_id, None if life.final is None else life.final.state, final)
        if life.final is not None:
            return
        life.final = final
        life.is_partial = life.is_partial or final.prepared_ms < self._kept.requests_ms
        self._final.append((at_ms, life))

    def move(self, change: Change, partition: int, at_ms: int) -> None:
        """Record that an account was moved for a transfer."""
        lives = self._lives.get(change.transfer_id, [])
        concerned = [life for life in lives if life.concerns(change.participant, change.account_type)] or lives
        life = next((life for life in concerned if life.partition == partition), next(iter(concerned), None))
        if life is None:
            life = self._new(change.transfer_id, partition, at_ms)
        life.moves.append((change.account, change.change))
        life.last_ms = at_ms

    def advance(self, now_ms: int) -> None:
        """Judge and drop what has been complete for `settle_ms`; all records up to `now_ms` have been seen."""
        while self._final and self._final[0][0] + self._settle_ms < now_ms:
            _at_ms, life = self._final.popleft()
            if self._is_lost(life):
                self._drop(life)
                self.unjudged += 1
            elif judge(life, self._hub_name).phase is Phase.FINISHED:
                self._settle(life)
                self._drop(life)
            # else it is kept to the end: what it lacks may yet come.

    def open(self) -> Iterator[Life]:
        """Return the transfers that are still in memory and of which the whole life is kept."""
        return (life for lives in self._lives.values() for life in lives if not self._is_lost(life))

    def _settle(self, life: Life) -> None:
        for rule, fault in judge(life, self._hub_name).checks:
            self._findings.check(rule, life.transfer_id, fault)
        self.finished += 1

    def _is_lost(self, life: Life) -> bool:
        began_ms = life.first_ms if life.final is None else min(life.first_ms, life.final.prepared_ms)
        return began_ms < self._kept.books_ms

    def _check_one_final_state(self, transfer_id: str, before: str | None, final: FinalState) -> None:
        """Check that only SETTLED follows a final state: it is what becomes of COMMITTED."""
        is_second = before is not None and final.state != "SETTLED"
        self._findings.check(Rule.ONE_FINAL_STATE, transfer_id, f"{final.state} after {before}" if is_second else None)

    def _life(self, transfer_id: str, partition: int, at_ms: int) -> Life:
        """Find the life of that id on its payer's partition; its movements may have been seen before its request."""
        lives = self._lives.get(transfer_id, ())
        life = next((life for life in lives if life.partition == partition and not life.is_orphan), None)
        if life is None:
            life = next((life for life in lives if life.is_orphan), None)
        if life is None:
            life = self._new(transfer_id, partition, at_ms)
        life.partition = partition
        life.last_ms = at_ms
        return life

    def _new(self, transfer_id: str, partition: int, at_ms: int) -> Life:
        life = Life(transfer_id, partition, at_ms, at_ms, is_partial=at_ms < self._kept.requests_ms)
        self._lives.setdefault(transfer_id, []).append(life)
        return life

    def _drop(self, life: Life) -> None:
        self._closed.add((life.partition, life.transfer_id))
        lives = self._lives[life.transfer_id]
        lives.remove(life)
        if not lives:
            del self._lives[life.transfer_id]
