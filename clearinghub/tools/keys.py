"""`clearinghub keys generate NAME --dir DIR`: a key pair for a participant or for the hub itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

import typer

from clearinghub.security.key_files import RSA_BITS_MAX, RSA_BITS_MIN, new_key, write_key_pair
from clearinghub.tools.command_line import App
from clearinghub.tools.options import one_of, whole

# The name becomes a file's name: it must not lead out of the folder, nor be hidden.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")

app = App(
    "Keys for message signatures.",
    examples=["keys generate alphabank --dir /etc/clearinghub/jws"],
    exits="0 done, 2 wrong usage or no such folder",
)


def _name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise typer.BadParameter(f"{text!r} is no participant's name")
    return text


@app.callback()
def _group() -> None:
    pass


@app.add()
def generate(
    name: Annotated[str, typer.Argument(metavar="NAME", parser=_name, help="The participant's name, or the hub's.")],
    *,
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="The folder to write them to.")],
    kind: Annotated[str, typer.Option("--type", help="For RS256 or ES256.", **one_of("rsa", "ec"))] = "rsa",
    bits: Annotated[
        int,
        typer.Option(
            "--bits",
            metavar="N",
            parser=whole(RSA_BITS_MIN, RSA_BITS_MAX),
            help=f"The size of an RSA key, {RSA_BITS_MIN} to {RSA_BITS_MAX}.",
        ),
    ] = RSA_BITS_MIN,
) -> None:
    """Make a key pair: NAME.key (private, mode 600) and NAME.pem (public). Files that are there are never changed."""
    private, public = write_key_pair(folder, name, new_key(kind, bits))
    print(f"{private}  private: for {name} alone")  # noqa: T201 - the answer
    print(f"{public}  public: for everybody who verifies what {name} signs")  # noqa: T201 - the answer
