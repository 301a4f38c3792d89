"""`clearinghub secure enrol | credentials | activate | retire | revoke`: participants' keys, over the admin API."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from clearinghub.security.enrolment import PEM_LENGTH_MAX
from clearinghub.security.key_files import KeyFileError
from clearinghub.tools.client.operations import Operations, of_each
from clearinghub.tools.client.responses import Credential
from clearinghub.tools.command_line import App
from clearinghub.tools.options import AnyName, Name, moment, negative_numbers, one_of
from clearinghub.tools.screen import Answer, Column, flag
from clearinghub.tools.session import Hub, HubOptions, NotDoneError, on_hub

_ID: Final = re.compile(r"[A-Za-z0-9_-]{6,43}")
_COLUMNS: Final = tuple(map(Column, ("participant", "id", "use", "form", "state", "counts now", "ends", "reason")))


def _credential_id(text: str) -> str:
    if _ID.fullmatch(text) is None:
        raise typer.BadParameter(f"{text!r} is no credential's id, nor its first 6 characters or more")
    return text


CredentialId = Annotated[
    str, typer.Argument(metavar="ID", parser=_credential_id, help="Its id, or the beginning of it: 6 characters.")
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with it, up to 512 characters.")]


@on_hub
async def _enrol(
    hub: Hub,
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A certificate, a request or a public key in PEM.")],
    *,
    use: Annotated[str, typer.Option("--use", help="What it is for.", **one_of("tls-client", "tls-server-ca", "jws"))],
) -> Answer:
    """Register a participant's certificate, request or key. It counts when it is activated."""
    return _changed(name, await hub.operations.add_credential(name, use, _public_pem(file)))


@on_hub
async def _list(hub: Hub, name: AnyName = None) -> Answer:
    """List the credentials of one participant or all, also those that were revoked or have ended."""
    names = [name] if name else [one.name for one in await hub.operations.participants()]
    return _answer((await of_each(names, hub.operations.credentials)).items())


@on_hub
async def _activate(hub: Hub, name: Name, credential_id: CredentialId, *, reason: Reason) -> Answer:
    """Let a credential count from now on."""
    return await _change(hub.operations, name, credential_id, state="ACTIVE", reason=reason)


@on_hub
async def _retire(
    hub: Hub,
    name: Name,
    credential_id: CredentialId,
    *,
    until: Annotated[
        str,
        typer.Option("--until", metavar="TIME", parser=moment, help="Its end, a day or a time; 90 days at most."),
    ],
    reason: Reason,
) -> Answer:
    """Let a credential count until a time only, while another takes its place."""
    return await _change(hub.operations, name, credential_id, state="RETIRING", until=until, reason=reason)


@on_hub
async def _revoke(hub: Hub, name: Name, credential_id: CredentialId, *, reason: Reason) -> Answer:
    """Let a credential never count again, at once. There is no way back: its key is refused for good."""
    return await _change(hub.operations, name, credential_id, state="REVOKED", reason=reason)


def add_credential_commands(app: App) -> None:
    """Declare the commands on credentials as some of the app's."""
    app.add("enrol", examples=["secure enrol alphabank alphabank.pem --use tls-client"])(_enrol)
    app.add("credentials", examples=["secure credentials alphabank"])(_list)
    changes = {"activate": _activate, "retire": _retire, "revoke": _revoke}
    for name, command in changes.items():
        app.add(name, context_settings=negative_numbers())(command)  # an id may begin with a dash


def set_options(ctx: typer.Context) -> None:
    """Keep that no option was given before the command's name."""
    ctx.obj = HubOptions()


async def _change(operations: Operations, name: str, credential_id: str, **change: str) -> Answer:
    found = [one for one in await operations.credentials(name) if one.credential_id.startswith(credential_id)]
    if len(found) != 1:
        raise NotDoneError(f"{name} has {len(found)} credentials whose id begins with {credential_id}")
    return _changed(name, await operations.change_credential(name, found[0].credential_id, change))


def _public_pem(path: Path) -> str:
    """Return the content of a file that may be sent.

    Raises:
        KeyFileError: it cannot be read, or holds a private key.
    """
    try:
        with path.open("rb") as file:
            content = file.read(PEM_LENGTH_MAX + 1)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error
    if len(content) > PEM_LENGTH_MAX or not content.isascii():
        raise KeyFileError(f"{path}: no PEM of at most {PEM_LENGTH_MAX} characters")
    if b"PRIVATE KEY" in content:
        raise KeyFileError(f"{path}: holds a private key, which must never leave its owner; nothing was sent")
    return content.decode("ascii")


def _changed(name: str, credential: Credential) -> Answer:
    answer = _answer([(name, [credential])])
    return Answer(answer.document[0], answer.columns, answer.rows)


def _answer(found: Iterable[tuple[str, Iterable[Credential]]]) -> Answer:
    pairs = [(name, one) for name, credentials in found for one in credentials]
    documents: list[dict[str, Any]] = [{"participant": name, **one.document()} for name, one in pairs]
    rows = [
        (
            name,
            one.credential_id,
            one.use,
            one.form,
            one.state,
            flag(one.is_valid),
            min(filter(None, (one.until, one.not_after)), default="-"),
            one.reason,
        )
        for name, one in pairs
    ]
    return Answer(documents, _COLUMNS, rows)
