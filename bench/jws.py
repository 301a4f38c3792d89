"""`python -m bench.jws`: measure what signing and verifying one request costs in one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from clearinghub.security.key_files import JoseKey, PublicKey, jose_key, new_key
from clearinghub.security.signature import HEADER, Signer, Verifier

ROUNDS: Final = 20
CALLS: Final = 50
BODY: Final = b"x" * 1_500  # the size of a POST /transfers with its ilpPacket
KINDS: Final = (("RS256, 2048 bit", "rsa", 2048), ("RS256, 3072 bit", "rsa", 3072), ("ES256", "ec", 0))
PATH: Final = "/transfers"
HEADERS: Final = {
    "date": "Tue, 23 May 2017 21:12:31 GMT",
    "fspiop-source": "payerfsp",
    "fspiop-destination": "payeefsp",
    "fspiop-uri": PATH,
    "fspiop-http-method": "POST",
}


class OneKey:
    """Public keys of which there is one, used for every participant."""

    def __init__(self, key: PublicKey) -> None:
        self._keys = (jose_key(key),)

    def of(self, _name: str) -> tuple[JoseKey, ...]:
        return self._keys


def cost_us(call: Callable[[], object]) -> float:
    """Return the time of one call in microseconds, of the fastest round: other load on the machine only adds."""
    rounds = []
    for _ in range(ROUNDS):
        started_ns = time.perf_counter_ns()
        for _ in range(CALLS):
            call()
        rounds.append((time.perf_counter_ns() - started_ns) / CALLS / 1_000)
    return min(rounds)


def main() -> None:
    """Print a table of the costs for each kind of key."""
    print(f"{'':<16} {'sign, us':>10} {'verify, us':>10}")
    for title, kind, bits in KINDS:
        key = new_key(kind, bits)
        signer, verifier = Signer(key), Verifier(OneKey(key.public_key()))
        headers = HEADERS | {HEADER: signer.sign(HEADERS, BODY)}
        assert verifier.fault("POST", PATH, headers, BODY) is None
        sign_us = cost_us(lambda signer=signer: signer.sign(HEADERS, BODY))  # type: ignore[misc]
        verify_us = cost_us(lambda one=verifier, its=headers: one.fault("POST", PATH, its, BODY))  # type: ignore[misc]
        print(f"{title:<16} {sign_us:>10.0f} {verify_us:>10.0f}")


if __name__ == "__main__":
    main()
