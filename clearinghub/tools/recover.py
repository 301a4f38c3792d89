"""`clearinghub recover`: lists stopped partitions, and lets one go on past what stopped it (docs/operators.md)."""

from __future__ import annotations

import getpass
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from clearinghub.config import Settings
from clearinghub.kafka.broker import on_running_broker
from clearinghub.kafka.recorder import KafkaRecorder
from clearinghub.kafka.view import CompactedView
from clearinghub.messages.recoveries import Recovery, Stopped, decode_worker, encode_recovery
from clearinghub.tools.command_line import EXIT_FAILED, EXIT_OK, EXIT_WRONG_USAGE, App

REASON_CHARACTERS_MAX: Final = 512
# What the ledger does when it goes on past a stop, by the stop's code (clearinghub/engine/loss.py).
EFFECTS: Final = {
    "input-lost": "The missing records are never decided. The partition goes on at the input's beginning.",
    "input-cut": "The partition goes on at the input's end. What DFSPs send again is decided again.",
    "input-changed": "The partition goes on at its decided offset in the log that is there.",
    "input-hole": "The missing records are never decided. The partition goes on after the hole.",
    "changelog-lost": "The rows that are left count from now on. Balances may be wrong: run `clearinghub audit`.",
    "offsets-lost": "Inputs are decided again from where the last known row says. Run `clearinghub audit`.",
    "hop-gap": "The missing messages of the other partition are never decided: run `clearinghub audit`, book by hand.",
    "hop-contradiction": "What was decided stays, a repetition that differs is dropped, a new message is decided.",
    "outbox-lost": "The lost messages are never sent. Each receiver stops with `hop-gap`, to be decided there.",
    "input-stopped": "The record becomes a dead letter that names the decision; `clearinghub requeue` puts it back.",
    "copy-ahead": "The worker's local copy is deleted, and the changelog that has less counts. Copy the disk first.",
}

app = App(exits="0 done, 1 the partition is not stopped, 2 wrong usage, 3 no broker")


@app.add("recover", examples=["recover", "recover 3 --dry-run", "recover 3 --reason 'told the DFSPs, ticket 4711'"])
async def recover(
    partition: Annotated[
        int | None, typer.Argument(metavar="PARTITION", help="Without it, list what is stopped.")
    ] = None,
    *,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with the decision.")] = "",
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who decides; else the system's user.")] = "",
    stop_id: Annotated[str, typer.Option("--stop", metavar="ID", help="Which, if it has several.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it does, and decide nothing.")] = False,
) -> int:
    """Let a stopped partition go on past what stopped it.

    The decision is for the stop that is shown, and for no other. It is kept on the topic `recoveries`.
    """
    settings = on_running_broker(Settings())
    stopped = await stopped_partitions(settings)
    console = Console()
    if partition is None:
        _show(console, stopped)
        return EXIT_OK
    stops = [one for one in stopped.get(partition, ()) if stop_id in ("", one.stop_id)]
    if not stops:
        console.print(f"partition {partition} is not stopped" + (f" by {stop_id}" if stop_id else ""))
        return EXIT_FAILED
    if len(stops) > 1:
        _show(console, {partition: stops})
        console.print("say which of them, with --stop")
        return EXIT_WRONG_USAGE
    stop = stops[0]
    effect = EFFECTS.get(stop.code, "The partition is opened again; it goes on only if the reason is mended.")
    console.print(f"{stop.sentence}\n{effect}")
    if dry_run:
        return EXIT_OK
    if not 0 < len(reason) <= REASON_CHARACTERS_MAX:
        console.print(f"say why, with --reason, in at most {REASON_CHARACTERS_MAX} characters")
        return EXIT_WRONG_USAGE
    who = by or getpass.getuser()
    decision = Recovery(partition, stop.stop_id, stop.code, stop.sentence, reason, who, int(time.time() * 1000))
    recorder = KafkaRecorder(settings)
    await recorder.start()
    try:
        await recorder.record("recoveries", decision.key, encode_recovery(decision))
    finally:
        await recorder.stop()
    console.print(f"partition {partition} goes on")
    return EXIT_OK


async def stopped_partitions(settings: Settings) -> dict[int, Sequence[Stopped]]:
    """Return the partitions of which the owners have announced that they, or inputs of them, are stopped, and why."""
    workers = CompactedView(settings, "workers", decode_worker)
    await workers.start()
    try:
        return {int(key): one.stops for key, one in workers.values.items() if one.stops}
    finally:
        await workers.stop()


def _show(console: Console, stopped: Mapping[int, Sequence[Stopped]]) -> None:
    if not stopped:
        console.print("no partition is stopped")
        return
    table = Table("partition", "stop", "code", "why", "what to do")
    for number, stops in sorted(stopped.items()):
        for stop in stops:
            table.add_row(str(number), stop.stop_id, stop.code, stop.sentence, stop.remedy)
    console.print(table)
