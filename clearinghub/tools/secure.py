"""`clearinghub secure ...`: the keys and certificates of a scheme, and of its participants (docs/keys.md)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ObjectIdentifier

from clearinghub.config import Settings
from clearinghub.security.certificates import (
    CLIENT,
    FSP_URI,
    GATEWAY_URI,
    OPERATOR_URI,
    ROLE_URI,
    SERVER,
    SigningRequestError,
    Subject,
    issue,
    requested_key,
    signing_request,
)
from clearinghub.security.key_files import PRIVATE_MODE, PUBLIC_MODE, KeyFileError, new_key, write_new
from clearinghub.security.profile import rules
from clearinghub.security.secret_folder import INTERNAL, SCHEME, SecretFolder
from clearinghub.tools.acls import add_acl_command
from clearinghub.tools.command_line import EXIT_FAILED, EXIT_OK, App
from clearinghub.tools.credentials import add_credential_commands, set_options
from clearinghub.tools.options import one_of, participant_name, whole

DAYS_MAX: Final = 730
_YEAR: Final = 365
_TLS_CLIENT, _TLS_SERVER, _OPERATOR, _GATEWAY, _ROLE = "tls-client", "tls-server", "operator", "gateway", "role"
_USES: Final[dict[str, tuple[str, str, tuple[ObjectIdentifier, ...]]]] = {
    _TLS_CLIENT: (SCHEME, FSP_URI, (CLIENT,)),
    _TLS_SERVER: (SCHEME, FSP_URI, (SERVER,)),
    _OPERATOR: (INTERNAL, OPERATOR_URI, (CLIENT,)),
    _GATEWAY: (INTERNAL, GATEWAY_URI, (CLIENT,)),
    _ROLE: (INTERNAL, ROLE_URI, (SERVER, CLIENT)),
}

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the scheme's keys.")]
Who = Annotated[str, typer.Option("--as", metavar="NAME", parser=participant_name, help="Whom it is for.")]
Use = Annotated[str, typer.Option("--use", help="What it is for.", **one_of(*_USES))]

app = App(
    "Keys and certificates of a scheme: make and issue them, register participants', see which end.",
    examples=[
        "secure init secrets --host hub.example --operators alice,bob",
        "secure request --as alphabank --out alphabank",
        "secure sign secrets alphabank.csr --as alphabank --use tls-client --out alphabank.pem",
        "secure check secrets",
        "secure enrol alphabank alphabank.pem --use tls-client",
        "secure credentials alphabank",
        "secure acls > acls.sh",
    ],
    exits="0 done, 1 refused, missing or ended, 2 wrong usage, or a file that cannot be used, 3 hub unreachable",
)


app.callback()(set_options)


@app.add()
def init(
    folder: Folder,
    *,
    hosts: Annotated[str, typer.Option("--host", metavar="NAME[,NAME]", help="How DFSPs reach the hub.")],
    operators: Annotated[
        str, typer.Option("--operators", metavar="NAME[,NAME]", help="The first two operators, or more.")
    ],
    hub_name: Annotated[str, typer.Option("--hub-name", parser=participant_name, help="CLEARINGHUB_HUB_NAME.")] = "Hub",
) -> None:
    """Make the authorities, the hub's keys, and a certificate for each role and operator of a new scheme."""
    names = [participant_name(name) for name in operators.split(",")]
    if len(set(names)) < 2:  # noqa: PLR2004 - what is approved is approved by another
        raise typer.BadParameter("two operators are needed: one approves what another proposes")
    reached = [*hosts.split(","), "localhost", "127.0.0.1"]
    files = SecretFolder(folder).create(hub_name, reached, names, datetime.now(UTC))
    _say(f"{len(files)} files in {folder}")
    _say(f"Move {folder / 'offline'} to a machine that is not connected: who has it can speak for anybody.")


@app.add()
def request(
    *,
    name: Who,
    use: Use = _TLS_CLIENT,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="FILE.key and FILE.csr are written.")],
) -> None:
    """Make a key, and the request for its certificate. A DFSP or an operator runs it; the key stays with them."""
    key = new_key("ec")
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_new(out.with_suffix(".key"), private, PRIVATE_MODE)
    write_new(out.with_suffix(".csr"), signing_request(key, Subject(_USES[use][1] + name)), PUBLIC_MODE)
    _say(f"{out.with_suffix('.key')}  private: for {name} alone")
    _say(f"{out.with_suffix('.csr')}  for the authority")


@app.add()
def sign(
    folder: Folder,
    requested: Annotated[Path, typer.Argument(metavar="CSR", help="The request, PKCS#10 in PEM.")],
    *,
    name: Who,
    use: Use = _TLS_CLIENT,
    hosts: Annotated[str, typer.Option("--host", metavar="NAME[,NAME]", help="A server's names.")] = "",
    days: Annotated[
        int, typer.Option("--days", metavar="N", parser=whole(1, DAYS_MAX), help="How long it is valid.")
    ] = _YEAR,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The certificate.")],
) -> None:
    """Issue a certificate. Run it where the authority's key is; the names in it are yours, not the request's."""
    authority, prefix, usages = _USES[use]
    subject = Subject(prefix + name, tuple(hosts.split(",")) if hosts else ())
    try:
        key = requested_key(requested.read_bytes(), subject.uri)
    except OSError as error:
        raise KeyFileError(f"{requested}: {error.strerror}") from error
    except SigningRequestError as error:
        raise KeyFileError(f"{requested}: {error}") from error
    certificate = issue(SecretFolder(folder).authority(authority), key, subject, usages, days, datetime.now(UTC))
    write_new(out, certificate.public_bytes(Encoding.PEM), PUBLIC_MODE)
    _say(f"{out}  for {name}, valid until {certificate.not_valid_after_utc:%Y-%m-%d}")


@app.add()
def check(folder: Folder) -> int:
    """List each key, certificate and setting as ok, weak, missing or ended; exit 1 if one is missing or has ended."""
    found = [
        (finding.state, str(finding.path.relative_to(folder)), finding.detail)
        for finding in SecretFolder(folder).check(datetime.now(UTC))
    ]
    found += [(rule.state, rule.setting, rule.detail) for rule in rules(Settings())]
    for state, what, detail in found:
        _say(f"{state:8} {what:24} {detail}")
    return EXIT_FAILED if any(state in ("missing", "ended") for state, _what, _detail in found) else EXIT_OK


add_credential_commands(app)
add_acl_command(app)


def _say(line: str) -> None:
    print(line)  # noqa: T201 - the answer
