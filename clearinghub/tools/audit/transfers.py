"""All transfers on their way through the topics; one that is final and complete is let go of."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from clearinghub.tools.audit.life import Life, Standing, judge
from clearinghub.tools.audit.records import TRANSFER, Change, Ending, Terms
from clearinghub.tools.audit.rules import Findings, Rule
from clearinghub.tools.audit.seen import SeenIds


@dataclass(frozen=True, slots=True)
class Kept:
    """From when on the topics still have everything; 0 where nothing was dropped yet.

    `books_ms` for final states and changes of accounts, `asks_ms` for what was asked for and answered.
    """

    books_ms: int = 0
    asks_ms: int = 0


class Transfers:
    """Puts each transfer's records together, wherever they come from, and judges it when it is complete.

    A transfer's id is unique for its payer only (ADR 6): the same id on two partitions is two transfers.
    """

    def __init__(self, findings: Findings, hub_name: str, settle_ms: int, kept: Kept) -> None:
        """`settle_ms` after its final state a transfer's movements are looked at for the first time."""
        self.finished = 0
        self.unjudged = 0  # of which the beginning is no longer kept
        self._findings = findings
        self._hub_name = hub_name
        self._settle_ms = settle_ms
        self._kept = kept
        self._lives: dict[str, list[Life]] = {}
        self._ended: deque[tuple[int, Life]] = deque()
        self._closed = SeenIds()

    def asked(self, transfer_id: str, partition: int, terms: Terms, at_ms: int, *, of_bulk: bool = False) -> None:
        """A transfer, by itself or as a line of a bulk, or funds were asked for."""
        if (partition, transfer_id) in self._closed:
            return  # a repeated request
        life = self._life(transfer_id, partition, at_ms)
        life.of_bulk = life.of_bulk or of_bulk
        # Whatever comes behind the first of a transfer is a repetition or refused; of the others it may be what counts.
        if not life.asked or ((terms.kind != TRANSFER or life.of_bulk) and terms not in life.asked):
            life.asked = (*life.asked, terms)

    def answered(self, transfer_id: str, source: str) -> None:
        """A DFSP has sent a fulfil."""
        for life in self._lives.get(transfer_id, ()):
            if source not in life.answered_by:
                life.answered_by = (*life.answered_by, source)

    def credited(self, transfer_id: str, participant: str, account_type: str, *, is_dead: bool) -> None:
        """A movement was recorded that another partition shall make; `is_dead` if that raised."""
        for life in self._lives.get(transfer_id, ()):
            if life.concerns(participant, account_type):
                life.credits += 1
                life.dead_credits += is_dead

    def ended(self, transfer_id: str, partition: int, ending: Ending, at_ms: int) -> None:
        """A final state."""
        if (partition, transfer_id) in self._closed:
            self._check_one_end(transfer_id, "its books were closed", ending)
            return
        life = self._life(transfer_id, partition, at_ms)
        self._check_one_end(transfer_id, None if life.ending is None else life.ending.state, ending)
        if life.ending is not None:
            return
        life.ending = ending
        life.is_partial = life.is_partial or ending.prepared_ms < self._kept.asks_ms
        self._ended.append((at_ms, life))

    def moved(self, change: Change, partition: int, at_ms: int) -> None:
        """An account was moved for a transfer."""
        lives = self._lives.get(change.transfer_id, [])
        concerned = [life for life in lives if life.concerns(change.participant, change.account_type)] or lives
        life = next((life for life in concerned if life.partition == partition), next(iter(concerned), None))
        if life is None:
            life = self._new(change.transfer_id, partition, at_ms)
        life.moves.append((change.account, change.change))
        life.last_ms = at_ms

    def advance(self, now_ms: int) -> None:
        """All records up to that time have been seen: let go of what has been complete for a while."""
        while self._ended and self._ended[0][0] + self._settle_ms < now_ms:
            _at_ms, life = self._ended.popleft()
            if self._is_lost(life):
                self._forget(life)
                self.unjudged += 1
            elif judge(life, self._hub_name).standing is Standing.FINISHED:
                self._settle(life)
                self._forget(life)
            # else it is left to the end: what it lacks may yet come.

    def open(self) -> Iterator[Life]:
        """All that are not let go of, of which the whole life is kept."""
        return (life for lives in self._lives.values() for life in lives if not self._is_lost(life))

    def _settle(self, life: Life) -> None:
        for rule, fault in judge(life, self._hub_name).looked_at:
            self._findings.check(rule, life.transfer_id, fault)
        self.finished += 1

    def _is_lost(self, life: Life) -> bool:
        began_ms = life.first_ms if life.ending is None else min(life.first_ms, life.ending.prepared_ms)
        return began_ms < self._kept.books_ms

    def _check_one_end(self, transfer_id: str, before: str | None, ending: Ending) -> None:
        """SETTLED is what becomes of COMMITTED; anything else must not follow a final state."""
        is_second = before is not None and ending.state != "SETTLED"
        self._findings.check(Rule.ONE_END, transfer_id, f"{ending.state} after {before}" if is_second else None)

    def _life(self, transfer_id: str, partition: int, at_ms: int) -> Life:
        """The life of that id on its payer's partition; movements may have been seen before what they are for."""
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
        life = Life(transfer_id, partition, at_ms, at_ms, is_partial=at_ms < self._kept.asks_ms)
        self._lives.setdefault(transfer_id, []).append(life)
        return life

    def _forget(self, life: Life) -> None:
        self._closed.add((life.partition, life.transfer_id))
        lives = self._lives[life.transfer_id]
        lives.remove(life)
        if not lives:
            del self._lives[life.transfer_id]
