"""The sandbox: sets up two simulated DFSPs on a hub, makes one payment, and then shows every other one."""

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
from sandbox.dfsp.agreements import UnansweredError
from sandbox.dfsp.messages import Answer, Callback, CallbackKind
from sandbox.dfsp.parties import Party
from sandbox.dfsp.requests import PaymentIntent, quote_request
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from sandbox.dfsp.wire import Terms, new_transfer_id
from sandbox.journey import JourneyPrinter
from sandbox.scheme import Scheme
from sandbox.screen import print_invitation, print_now, print_positions, print_scheme, print_trouble

PAYER: Final = "payerbank"
PAYEE: Final = "payeewallet"
CURRENCY: Final = "USD"
PAT: Final = Party("MSISDN", "447700900456", PAYER, "Pat Payer")  # numbers that are reserved for fiction
PAZ: Final = Party("MSISDN", "447700900123", PAYEE, "Paz Payee")
AMOUNT_UNITS: Final = 10 * UNITS_PER_CURRENCY_UNIT
NET_DEBIT_CAP_UNITS: Final = 10_000 * UNITS_PER_CURRENCY_UNIT
FUNDS_UNITS: Final = 100_000 * UNITS_PER_CURRENCY_UNIT
OUTCOME_TIMEOUT_S: Final = 20.0
CONFIRMATION_TIMEOUT_S: Final = 3.0
CREDIT_TIMEOUT_S: Final = 5.0  # the payee's credit follows the commit, on another partition
CREDIT_POLL_INTERVAL_S: Final = 0.02
POSITIONS_DELAY_S: Final = 0.3
KEYS_INTERVAL_MS: Final = 1_000


class PortInUseError(Exception):
    """A DFSP cannot listen on its port."""


class Playground:
    """Two simulated DFSPs, payer and payee, on one hub; every hop of their payments is printed."""

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
        """Sign and verify messages if there is a `jws_keys_dir`; raises KeyFileError for a key that cannot be used."""
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
        """Return whether the first transfer, if one was sent, committed. With `stay` it runs until it is cancelled.

        Raises:
            HubDownError: the hub did not become healthy in time.
            SchemeError, AdminError: the hub refused to set the scheme up.
            PortInUseError: a DFSP cannot listen on its port.
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
        """Register a party for lookups; if that fails, print why and continue: payments work without a lookup."""
        try:
            await dfsp.agreements.register([party])
        except UnansweredError as error:
            print_trouble(self._console, f"{party.name} was not registered: {error}")

    async def _send_first(self, admin: AdminClient) -> bool:
        """Make one payment, print the positions before and after it, and return whether it committed."""
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
        """Return the first transfer's terms: by lookup and quote through the hub, or made here if that fails."""
        payer = self._payer.agreements
        try:
            await payer.look_up(PAZ.path)
            await self._payee.agreements.finish_answers()  # so that no late hop is printed among those of the next step
            request = quote_request(PaymentIntent(PAT, PAZ, AMOUNT_UNITS, CURRENCY))
            quote = await payer.request("POST", "/quotes", request["quoteId"], PAYEE, request)
            await self._payee.agreements.finish_answers()
            return Terms(quote.content["ilpPacket"], quote.content["condition"])
        except UnansweredError as error:
            print_trouble(self._console, f"The transfer goes without a quote: {error}")
            return self._payee.quote(PAYER, AMOUNT_UNITS, CURRENCY, new_transfer_id())

    async def _outcome(self, transfer_id: str, answer: Answer) -> Callback | None:
        """Return the callback to the payer after the one to the payee has arrived too; None if the POST was refused."""
        if answer.content.get("errorInformation") is not None:
            return None
        outcome = await self._payer.wait_for(transfer_id, _is_outcome, timeout_s=OUTCOME_TIMEOUT_S)
        if self._confirms_to_payee and self._payee.callbacks_of(transfer_id):
            await self._payee.wait_for(transfer_id, _is_outcome, timeout_s=CONFIRMATION_TIMEOUT_S)
        return outcome

    async def _stay(self, admin: AdminClient) -> None:
        """Print how to send another transfer, and the positions after each one, until cancelled."""
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
        """Return the POSITION of both DFSPs, in 1/10,000."""
        positions = {}
        for name in (PAYER, PAYEE):
            account = await admin.account(name, CURRENCY, "POSITION")
            if account is None:
                raise AdminError(f"{name} has no POSITION account in {CURRENCY}")
            positions[name] = account.value_units
        return positions

    async def _positions_when(self, admin: AdminClient, expected: dict[str, int]) -> dict[str, int]:
        """Return the positions once they are as `expected`, or as they are when CREDIT_TIMEOUT_S is over."""
        deadline = asyncio.get_running_loop().time() + CREDIT_TIMEOUT_S
        while (positions := await self._positions(admin)) != expected:
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(CREDIT_POLL_INTERVAL_S)
        return positions


def _is_outcome(callback: Callback) -> bool:
    return callback.kind is not CallbackKind.PREPARE
