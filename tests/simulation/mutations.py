"""The mutants: the file of each, the text that it replaces and the replacement. MUTANTS.md describes each in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Mutant:
    """One error: `before`, which is in the file exactly once, becomes `after`. Its seeds begin at `first_seed`.

    `by_losses` says that only a loss of the broker shows it (losses.py).
    """

    name: str
    path: str
    before: str
    after: str
    first_seed: int = 1
    by_losses: bool = False


_HOPS: Final = "clearinghub/engine/hops.py"
_APPLY: Final = """\
        last_offsets = await self._producer.commit(changed_rows(config, self.number, changes) + output.records, ends)
"""

_LOSS: Final = "clearinghub/engine/loss.py"
_OPENING: Final = "clearinghub/engine/opening.py"
_AHEAD: Final = "loss.copy_ahead(self._number, name, local, ends[name])"

MUTANTS: Final = (
    # -- engine
    Mutant(
        "contiguity-unchecked",
        "clearinghub/engine/offsets.py",
        "return batch.begin == self.next[topic]",
        "return True",
    ),
    Mutant(
        "rocksdb-before-commit",
        "clearinghub/engine/partition.py",
        _APPLY,
        "        for table, changed in changes.items():\n"
        "            self._stores[table].apply(self._tables[table], self.number, changed, -1)\n" + _APPLY,
    ),
    Mutant(
        "offsets-not-in-each-round",
        "clearinghub/engine/partition.py",
        "if pending.is_empty and not is_first and not count and not self._markers_are_due():",
        "if pending.is_empty and not is_first and not self._markers_are_due():",
    ),
    Mutant(
        "no-fencing",
        "clearinghub/engine/config.py",
        'return f"{self.application_id}-{partition}"',
        'return f"{self.application_id}-{self.instance}-{partition}"',
    ),
    Mutant(
        "fencing-unheard",
        "clearinghub/engine/transaction.py",
        "raise PartitionLostError(repr(error)) from error",
        "return {(topic, partition): 0 for topic, partition, *_rest in outgoing}",
    ),
    Mutant(
        "hot-row-not-in-changelog",
        "clearinghub/engine/transaction.py",
        "for key, value in changed.rows.items()\n",
        "for key, value in list(changed.rows.items())[:2]\n",
    ),
    Mutant(
        "recovery-begins-late",
        "clearinghub/engine/recovery.py",
        "max(table.offset(tp) + 1,",
        "max(table.offset(tp) + 2,",
    ),
    Mutant(
        "recovery-ends-early",
        "clearinghub/engine/recovery.py",
        "if await self._consumer.position(place) >= self._ends[place]:",
        "if await self._consumer.position(place) >= self._ends[place] - 2:",
    ),
    Mutant("old-batches-accepted", "clearinghub/engine/partition.py", "batch.epoch != self.epoch or ", ""),
    Mutant(
        "gap-behind-aborted",
        "clearinghub/engine/consumer.py",
        "min(self._next_begins[tp], records[0].offset)",
        "records[0].offset",
    ),
    Mutant(
        "poison-record-lost",
        "clearinghub/engine/dead_letter.py",
        "pending.emit_to_partition(config.dead_letter_topic, record.partition, key, letter)",
        "pass",
    ),
    Mutant(
        "timeout-overtakes-fulfils",
        "agents/handlers.py",
        'vital=frozenset((TimeoutMessage,)), after=("fulfil", "lookup")),',
        "vital=frozenset((TimeoutMessage,))),",
    ),
    Mutant(
        "log-ends-before-reading",
        "clearinghub/engine/holdback.py",
        "self._ends, self._free_below = None, self._noted_below",
        "self._ends, self._free_below = None, 1 << 60",
    ),
    Mutant(
        "round-without-byte-limit",
        "clearinghub/engine/partition.py",
        "return size >= self._config.round_bytes_max",
        "return False",
    ),
    # -- losses of the broker
    Mutant("lost-input-stepped-over", _LOSS, "    if decided < log.beginning:\n", "    if False:\n", by_losses=True),
    Mutant("cut-input-unseen", _LOSS, "    if decided > log.end:\n", "    if False:\n", by_losses=True),
    Mutant("changed-input-unseen", _LOSS, "log.records[0] != last", "False", by_losses=True),
    Mutant("hole-unseen", _LOSS, "if has_no_holes and undecided is not None", "if False", by_losses=True),
    Mutant("noted-end-unseen", _LOSS, "end < offset + 1 + TRANSACTION_MARKERS", "end < 0", by_losses=True),
    Mutant("later-rows-unseen", _LOSS, "if last > offset:", "if False:", by_losses=True),
    Mutant("good-copy-deleted", _OPENING, f" and self._check({_AHEAD})", "", by_losses=True),
    # -- messages between partitions
    Mutant("number-not-advanced", _HOPS, "        count.next += 1\n", ""),
    Mutant(
        "repetition-decided",
        "clearinghub/engine/partition.py",
        "if hop is not None and self._exchange.is_repetition(topic, hop, consumed):",
        "if False:",
    ),
    Mutant("message-gap-unseen", _HOPS, "if hop.sequence > count.last + 1:", "if False:", by_losses=True),
    Mutant("chain-uncompared", _HOPS, "if chain != hop.chain:", "if False:", by_losses=True),
    Mutant("repetition-uncompared", _HOPS, "count.chains[-1 - age] != hop.chain", "False", by_losses=True),
    Mutant(
        "relay-noted-ahead",
        "clearinghub/engine/outbox.py",
        "return passage.confirmed, passage.in_memory[0].offset",
        "return passage.queued, passage.in_memory[0].offset",
    ),
    Mutant(
        "outbox-not-read",
        "clearinghub/engine/outbox.py",
        "passage.unread_from = sent.outbox_offset",
        "passage.confirmed = passage.queued = passage.committed",
    ),
    # -- domain and agents
    Mutant(
        "add-instead-of-subtract",
        "agents/posting.py",
        "move_account(turn, key, -transfer.amount,",
        "move_account(turn, key, transfer.amount,",
    ),
    Mutant(
        "timeout-releases-nothing",
        "agents/transfers/timeout.py",
        "release_payer(turn, outcome.transfer)",
        "pass",
    ),
    Mutant(
        "commit-after-expiry",
        "clearinghub/domain/transfers/fulfil.py",
        "if row.expires_at_ms <= now_ms:",
        "if False:",
    ),
    Mutant(
        "repeated-prepare-reserves",
        "clearinghub/domain/transfers/prepare.py",
        "if stored is not None:\n",
        "if stored is not None and stored.state is not State.RESERVED:\n",
    ),
    Mutant(
        "credit-lost",
        "agents/settlement/booking.py",
        'turn.view.emit("credit", transfer.payee, encode(credit))',
        'turn.view.emit("credit", transfer.payee, encode(credit)) if change < -1 else None',
    ),
    Mutant(
        "credit-twice",
        "agents/transfers/credit.py",
        "move_account(turn, key, change,",
        "move_account(turn, key, 2 * change,",
    ),
    Mutant(
        "fulfilment-unchecked",
        "clearinghub/domain/transfers/fulfil.py",
        "if needs_fulfilment and not fulfils(row.condition, request.fulfilment):",
        "if False:",
    ),
    Mutant(
        "stranger-accepted",
        "clearinghub/domain/transfers/fulfil.py",
        "return request.source.lower() == stored.payee.lower()",
        "return True",
    ),
    Mutant(
        "limit-off-by-one",
        "clearinghub/domain/participants/position.py",
        "position.net_debit_cap - effective < amount",
        "position.net_debit_cap - effective <= amount",
    ),
    Mutant(
        "bulk-hangs",
        "agents/bulk/fulfil.py",
        "aborted += isinstance(outcome, Aborted | AbortedInvalid)",
        "aborted += isinstance(outcome, Aborted)",
    ),
    Mutant(
        "bulk-shows-all",
        "clearinghub/domain/bulk/lookup.py",
        "for item in items if item.was_sent or not for_payee]",
        "for item in items]",
    ),
    Mutant(
        "bulk-stranger-accepted",
        "clearinghub/domain/bulk/fulfil.py",
        "if request.source != stored.payee:",
        "if False:",
    ),
    Mutant(
        "credit-in-the-window-of-its-arrival",
        "agents/settlement/booking.py",
        "key = NetKey(credit.window, netting_group,",
        "key = NetKey(view.get(WINDOWS, 'open') or 1, netting_group,",
    ),
    Mutant(
        "report-before-the-last-marker",
        "agents/settlement/closing.py",
        "if len(markers.sources) < view.partitions:",
        "if len(markers.sources) < view.partitions - 1:",
    ),
    Mutant(
        "net-skipped-between-two-parts",
        "agents/settlement/closing.py",
        "is_last, keys = len(keys) <= at_once, keys[:at_once]",
        "is_last, keys = len(keys) <= at_once, keys[:at_once]\n"
        "    keys = keys if is_last or len(keys) < 2 else keys[1:]",
    ),
    Mutant(
        "net-published-twice-at-a-resume",
        "agents/settlement/closing.py",
        "keys = view.keys(ENTRIES, entries_prefix(window_id), publication.published_to, at_once)",
        "keys = view.keys(ENTRIES, entries_prefix(window_id), publication.published_to[:-1], at_once)",
    ),
    Mutant(
        "closed-before-the-last-net",
        "agents/settlement/closing.py",
        "if len(keys) == at_once:\n        view.put(PUBLICATIONS,",
        "if len(keys) > at_once:\n        view.put(PUBLICATIONS,",
    ),
    Mutant(
        "part-of-a-report-requested-twice-counts-twice",
        "agents/settlement/closing.py",
        "if message.after != progress.reported_to:",
        "if message.after > progress.reported_to:",
    ),
    Mutant(
        "emptiness-told-once",
        "agents/settlement/booking.py",
        "if view.get(WINDOWS, ANNOUNCED) == window:",
        "if view.get(WINDOWS, ANNOUNCED) is not None:",
    ),
    Mutant(
        "settlement-method-of-the-payees-partition",
        "agents/settlement/booking.py",
        "granularity = GROSS if credit.settles_into else NET",
        "granularity = settlement_method_of(scheme_copy(view).models, credit.currency, POSITION).granularity",
    ),
    Mutant(
        "early-reminder-not-repeated",
        "agents/transfers/timeout.py",
        'turn.context.reminders.decided("timeout", turn.view.partition, message.id)',
        "pass",
    ),
    Mutant(
        "own-clock-trusted",
        "clearinghub/engine/config.py",
        "return self.environment.wall_ms() - self.clock_lead_ms()",
        "return self.environment.wall_ms()",
    ),
    Mutant(
        "answer-by-id-alone",
        "clearinghub/domain/transfers/fit.py",
        "if stored.kind != TRANSFER_KIND or request.source.lower() != stored.payee.lower():",
        "if stored.kind != TRANSFER_KIND:",
    ),
    Mutant("second-use-unseen", "agents/claims.py", "elif known.payer != one.payer:", "elif False:"),
    Mutant(
        "report-skips-ids",
        "agents/claims.py",
        "view.put(COUNTERS, REPORTED, last)",
        "view.put(COUNTERS, REPORTED, last + 1)",
    ),
    Mutant("answer-of-anybody", "clearinghub/domain/answers.py", " and dfsp in question.owed", ""),
    Mutant("answer-ends-no-question", "clearinghub/domain/answers.py", "owed[dfsp] -= 1", "owed[dfsp] -= 0"),
    Mutant("withdrawn-from-who-waits", "agents/quotes/agreement.py", "may_withdraw and ", ""),
    Mutant(
        "question-over-by-own-clock", "agents/answers.py", "context.latest_question_ms.get(view.partition)", "_now_ms"
    ),
    # -- two releases in one group
    Mutant(
        "fields-of-a-later-release-dropped",
        "clearinghub/rows.py",
        "return msgspec.structs.replace(row, later=tuple(elements[known_width:]))",
        "return row",
    ),
    Mutant(
        "fields-of-a-later-release-dropped-by-a-new-row",
        "clearinghub/engine/pending_changes.py",
        "self._rows[place] = kept_later(before, row)",
        "self._rows[place] = row",
    ),
    Mutant(
        "feature-level-ignored",
        "tables/scheme.py",
        "return scheme_copy(view).feature_level >= level",
        "return True",
    ),
    # -- callbacks
    Mutant(
        "offset-before-delivery",
        "agents/callback_delivery.py",
        "settled.add_done_callback(partial(self._settled, partition, record.offset))",
        "self._tracker.done(partition, record.offset)",
    ),
    Mutant(
        "offset-out-of-order",
        "clearinghub/callbacks/offsets.py",
        "        if pending[0][0] < offset <= window.last:\n            window.settled.add(offset)\n",
        "        if pending[0][0] < offset <= window.last:\n            window.position = offset + 1\n",
    ),
    Mutant(
        "offset-before-parked",
        "clearinghub/callbacks/deliverer.py",
        "delivery.home.park(delivery, not_before_ms, partial(self._settle, delivery))",
        "(self._settle(delivery), delivery.home.park(delivery, not_before_ms, lambda: None))",
    ),
    Mutant(
        "parked-not-read-back",
        "clearinghub/callbacks/parking.py",
        "if not partition.is_caught_up or not with_room:",
        "if True:",
    ),
    Mutant(
        "parked-overtaken",
        "clearinghub/callbacks/parked_index.py",
        "return total.unread > 0 or (found is not None and subject in found.subjects)",
        "return False",
    ),
    Mutant(
        "parked-without-bound",
        "clearinghub/callbacks/parking.py",
        "total.count < settings.callback_parked_per_receiver_max",
        "total.count >= 0",
    ),
    Mutant(
        "callbacks-overtake",
        "clearinghub/callbacks/receiver_queue.py",
        "return self.notification.message.id",
        "return self.notification.message.notification_id",
    ),
    # -- copies
    Mutant(
        "copy-of-the-last-rounds",
        "clearinghub/copies/cut.py",
        "while (early := _receiver_of_unsent(rounds, at)) is not None:",
        "while False and (early := _receiver_of_unsent(rounds, at)) is not None:",
    ),
    Mutant(
        "copy-with-a-later-change",
        "clearinghub/copies/history.py",
        "while tail and tail[0].offset < end:",
        "while tail and tail[0].offset < end + (self.partition == 0):",
    ),
    Mutant(
        "copy-without-own-messages",
        "clearinghub/copies/cut.py",
        "if received < last:",
        "if received < last and sender != receiver:",
    ),
    Mutant(
        "restored-message-to-the-old-partition",
        "clearinghub/copies/regroup/messages.py",
        "yield _to(one, places.of_name(message.participant))",
        "yield _to(one, one.receiver % places.partitions)",
    ),
    Mutant(
        "restored-ids-again",
        "clearinghub/copies/regroup/settlement.py",
        "used = -(-highest_id // self._places.partitions)",
        "used = highest_id // (self._places.partitions + 1)",
    ),
)
