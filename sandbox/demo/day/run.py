"""A whole day of a scheme on the running hub, from its start to its end."""

from __future__ import annotations

import asyncio
from secrets import randbelow, token_hex

from rich.console import Console

from clearinghub.config import Settings
from clearinghub.tools.client.admin import AdminError
from clearinghub.tools.client.hub_urls import HubUrls
from sandbox.demo.day.main import Day
from sandbox.demo.day.plan import make_day
from sandbox.demo.on_hub import play_on_hub


async def run_day(
    settings: Settings,
    transfers: int,
    currencies: tuple[str, ...],
    seed: int | None,
    *,
    timeout_s: int,
    wait_s: int,
) -> int:
    """Play the day; returns the exit code: 0 only if everything is exactly right, 1 if not, 3 without a hub."""
    console = Console()
    mix = randbelow(1_000_000) if seed is None else seed
    plan = make_day(transfers, mix, token_hex(3), currencies)

    async def play(urls: HubUrls) -> int:
        begun = f"{len(plan.names)} DFSPs, {', '.join(plan.currencies)}, {transfers} transfers, seed {mix}"
        console.print(f"\n  [bold]A day[/bold]: {begun}\n", highlight=False)
        try:
            async with asyncio.timeout(timeout_s):
                return await Day(settings, urls, plan, console).play(mix)
        except TimeoutError:
            raise AdminError(f"the day was not over in {timeout_s} s") from None

    return await play_on_hub(settings, console, wait_s, play)
