"""The sandbox itself: two simulated DFSPs and an operator around one hub."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from aiohttp import ClientError
from rich.console import Console

from clearinghub.config import Settings
from clearinghub.domain.money import UNITS_PER_CURRENCY_UNIT
from clearinghub.security.key_directory import KeyDirectory
from clearinghub.security.key_files import read_private_key
from clearinghub.security.signature import Signer, Verifier
from clearinghub.tools.client.admin import AdminClient, AdminError
from clearinghub.tools.client.hub_urls import HubUrls
from sandbox.agreement import UnansweredError
from sandbox.callback import Answer, Callback, CallbackKind
from sandbox.dfsp import SimulatedDfsp
from sandbox.journey import JourneyPrinter
from sandbox.parties import Party
from sandbox.requests import Wish, quote_request
from sandbox.scheme import Scheme
from sandbox.screen import print_invitation, print_now, print_positions, print_scheme, print_trouble
from sandbox.wire import Terms, new_transfer_id

PAYER: Final = "payerbank"
PAYEE: Final = "payeewallet"
CURRENCY: Final = "USD"
PAT: Final = Party("MSISDN", "447700900456", PAYER, "Pat Payer")  # numbers kept for fiction, as in wire.py
PAZ: Final = Party("MSISDN", "447700900123", PAYEE, "Paz Payee")
AMOUNT_UNITS: Final = 10 * UNITS_PER_CURRENCY_UNIT
NET_DEBIT_CAP_UNITS: Final = 10_000 * UNITS_PER_CURRENCY_UNIT
FUNDS_UNITS: Final = 100_000 * UNITS_PER_CURRENCY_UNIT
OUTCOME_TIMEOUT_S: Final = 20.0
CONFIRMATION_TIMEOUT_S: Final = 3.0
CREDIT_TIMEOUT_S: Final = 5.0  # the payee's credit follows the commit in another partition
CREDIT_POLL_INTERVAL_S: Final = 0.02
POSITIONS_DELAY_S: Final = 0.3
KEYS_INTERVAL_MS: Final = 1_000


class PortInUseError(Exception):
    """A DFSP cannot listen where it should."""


class Playground:
    """Sets the scheme up, sends the first transfer, then shows whatever else comes by."""

    def __init__(
        self,
        settings: Settings,
        console: Console,
        *,
        payer_port: int,
        payee_port: int,
        wait_s: float,
        jws_keys_dir: Path | None = None,
    ) -> None:
        """With `jws_keys_dir` messages are signed and verified; raises KeyFileError for a key that cannot be used."""
        self._console = console
        self._hub_name = settings.hub_name
        self._wait_s = wait_s
        self._confirms_to_payee = settings.confirm_to_payee
        self._urls = HubUrls.of(settings)
        self._positions_due = asyncio.Event()
        journeys = JourneyPrinter(console, PAYER, PAYEE, self._positions_due.set)
        self._payer, self._payee = (
            SimulatedDfsp(
                name,
                self._urls.fspiop,
                port=port,
                observe=journeys.observe,
                signer=None if jws_keys_dir is None else Signer(read_private_key(jws_keys_dir / f"{name}.key")),
                verifier=None if jws_keys_dir is None else Verifier(KeyDirectory(jws_keys_dir, KEYS_INTERVAL_MS)),
            )
            for name, port in ((PAYER, payer_port), (PAYEE, payee_port))
        )

    async def run(self, *, send_first: bool, stay: bool) -> bool:
        """False if the first transfer did not commit. With `stay` it returns only by being cancelled.

        Raises:
            HubDownError, SchemeError, AdminError, PortInUseError: as their texts say.
        """
        with self._console.status("waiting for the hub") as status:
            await self._urls.wait_until_healthy(self._wait_s, lambda what: status.update(f"waiting for {what}"))
        async with AdminClient(self._urls.admin) as admin, self._listening(self._payer), self._listening(self._payee):
            with self._console.status("setting the scheme up"):
                await self._set_up(admin)
            print_scheme(self._console, [self._payer, self._payee], CURRENCY, NET_DEBIT_CAP_UNITS, FUNDS_UNITS)
            is_good = await self._send_first(admin) if send_first else True
            if stay:
                await self._stay(admin)
        return is_good

    @asynccontextmanager
    async def _listening(self, dfsp: SimulatedDfsp) -> AsyncIterator[None]:
        try:
            await dfsp.start()
        except OSError as error:
            raise PortInUseError(
                f"{dfsp.name} cannot listen on {dfsp.host}:{dfsp.port} ({error.strerror}). Does another sandbox run? "
                "Choose other ports with --payer-port and --payee-port."
            ) from error
        try:
            yield
        finally:
            await dfsp.stop()

    async def _set_up(self, admin: AdminClient) -> None:
        scheme = Scheme(admin, self._hub_name, CURRENCY)
        await scheme.ensure_currency()
        for dfsp in (self._payer, self._payee):
            await scheme.ensure_dfsp(dfsp.name, NET_DEBIT_CAP_UNITS, dfsp.endpoints)
            await scheme.ensure_funds(dfsp.name, FUNDS_UNITS)
        await self._register(self._payer, PAT)
        await self._register(self._payee, PAZ)

    async def _register(self, dfsp: SimulatedDfsp, party: Party) -> None:
        """What the DFSP's party is to be found by; payments go without."""
        try:
            await dfsp.agreements.register([party])
        except UnansweredError as error:
            print_trouble(self._console, f"{party.name} was not registered: {error}")

    async def _send_first(self, admin: AdminClient) -> bool:
        """One payment, shown as it goes; then the positions before and after it."""
        before = await self._positions(admin)
        order = replace(self._payer.order(self._payee, AMOUNT_UNITS, CURRENCY), terms=await self._agree())
        try:
            answer = await self._payer.post_transfer(order)
            outcome = await self._outcome(order.transfer_id, answer)
        except (ClientError, TimeoutError) as error:
            print_trouble(self._console, f"The transfer did not come to an end: {error!r}")
            return False
        is_committed = outcome is not None and outcome.label == "PUT COMMITTED"
        expected = {PAYER: before[PAYER] + AMOUNT_UNITS, PAYEE: before[PAYEE] - AMOUNT_UNITS}
        after = await self._positions_when(admin, expected if is_committed else before)
        print_positions(self._console, before, after, CURRENCY, NET_DEBIT_CAP_UNITS)
        if not is_committed:
            reason = outcome.body.decode(errors="replace") if outcome is not None else f"answer {answer.text}"
            print_trouble(self._console, f"The transfer was not committed: {reason}")
        return is_committed

    async def _agree(self) -> Terms:
        """The terms of the first transfer: the payee found and asked for a quote, through the hub if it can."""
        payer = self._payer.agreements
        try:
            await payer.look_up(PAZ.path)
            request = quote_request(Wish(PAT, PAZ, AMOUNT_UNITS, CURRENCY))
            quote = await payer.ask("POST", "/quotes", request["quoteId"], PAYEE, request)
            return Terms(quote.content["ilpPacket"], quote.content["condition"])
        except UnansweredError as error:
            print_trouble(self._console, f"The transfer goes without a quote: {error}")
            return self._payee.quote(PAYER, AMOUNT_UNITS, CURRENCY, new_transfer_id())

    async def _outcome(self, transfer_id: str, answer: Answer) -> Callback | None:
        """What the payer was told, after the payee was told too; None if the hub did not take the transfer."""
        if answer.content.get("errorInformation") is not None:
            return None
        outcome = await self._payer.wait_for(transfer_id, _tells_outcome, timeout_s=OUTCOME_TIMEOUT_S)
        if self._confirms_to_payee and self._payee.callbacks_of(transfer_id):
            await self._payee.wait_for(transfer_id, _tells_outcome, timeout_s=CONFIRMATION_TIMEOUT_S)
        return outcome

    async def _stay(self, admin: AdminClient) -> None:
        """Print the positions whenever a transfer has ended, until cancelled."""
        terms = self._payee.quote(PAYER, AMOUNT_UNITS, CURRENCY, new_transfer_id())
        print_invitation(self._console, self._urls, PAYER, PAYEE, AMOUNT_UNITS, CURRENCY, terms)
        self._positions_due.clear()
        while True:
            await self._positions_due.wait()
            await asyncio.sleep(POSITIONS_DELAY_S)
            self._positions_due.clear()
            try:
                print_now(self._console, await self._positions(admin), CURRENCY)
            except AdminError as error:
                print_trouble(self._console, str(error))

    async def _positions(self, admin: AdminClient) -> dict[str, int]:
        """The POSITION of both, in 1/10,000."""
        positions = {}
        for name in (PAYER, PAYEE):
            account = await admin.account(name, CURRENCY, "POSITION")
            if account is None:
                raise AdminError(f"{name} has no POSITION account in {CURRENCY}")
            positions[name] = account.value_units
        return positions

    async def _positions_when(self, admin: AdminClient, expected: dict[str, int]) -> dict[str, int]:
        """The positions as soon as they are `expected`, or as they are after a while."""
        deadline = asyncio.get_running_loop().time() + CREDIT_TIMEOUT_S
        while (positions := await self._positions(admin)) != expected:
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(CREDIT_POLL_INTERVAL_S)
        return positions


def _tells_outcome(callback: Callback) -> bool:
    return callback.kind is not CallbackKind.PREPARE
