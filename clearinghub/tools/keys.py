"""`python -m clearinghub keys generate NAME --dir DIR`: a key pair for a participant or for the hub itself."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from clearinghub.config import Settings
from clearinghub.security.algorithms import RSA_BITS_MAX, RSA_BITS_MIN, PrivateKey
from clearinghub.security.key_files import write_key_pair

EXIT_OK: Final = 0
_PUBLIC_EXPONENT: Final = 65_537
# The name becomes a file's: nothing that leads out of the folder or hides in it.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m clearinghub keys", description="Keys for message signatures.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    generate = commands.add_parser(
        "generate",
        help="make a key pair",
        description="Write NAME.key (private, mode 600) and NAME.pem (public). Files that are there are never changed.",
    )
    generate.add_argument("name", metavar="NAME", type=_name, help="the participant's name, or the hub's")
    generate.add_argument("--dir", metavar="DIR", type=Path, required=True, help="where to write them")
    generate.add_argument("--type", choices=("rsa", "ec"), default="rsa", help="RS256 or ES256 (default %(default)s)")
    generate.add_argument("--bits", type=_bits, default=RSA_BITS_MIN, help="of an RSA key (default %(default)s)")
    return parser


async def run(_settings: Settings, arguments: Sequence[str]) -> int:
    """Make the pair; gives the exit code.

    Raises:
        KeyFileError: it cannot be written.
    """
    chosen = options().parse_args(arguments)
    private, public = write_key_pair(chosen.dir, chosen.name, new_key(chosen.type, chosen.bits))
    print(f"{private}  private: for {chosen.name} alone")  # noqa: T201 - the answer
    print(f"{public}  public: for everybody who verifies what {chosen.name} signs")  # noqa: T201 - the answer
    return EXIT_OK


def new_key(kind: str, bits: int = RSA_BITS_MIN) -> PrivateKey:
    """A fresh key; `kind` is `rsa` or `ec`, `bits` those of an RSA key."""
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(_PUBLIC_EXPONENT, bits)


def _name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no participant's name")
    return text


def _bits(text: str) -> int:
    bits = int(text)
    if not RSA_BITS_MIN <= bits <= RSA_BITS_MAX:
        raise argparse.ArgumentTypeError(f"{bits} is not from {RSA_BITS_MIN} to {RSA_BITS_MAX}")
    return bits
