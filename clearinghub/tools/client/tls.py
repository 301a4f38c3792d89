"""TLS towards the admin API: whom the client trusts, and the certificate by which its operator is known."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from clearinghub.config import Settings
from clearinghub.security.key_files import KeyFileError


@dataclass(frozen=True, slots=True)
class ClientFiles:
    """An operator's certificate and key, and the authority that has issued the hub's certificate; all in PEM.

    Without a key it is in the certificate's file; without an authority this machine's own list counts.
    """

    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what the settings say; where the hub itself is set up, its folder of keys has the authority."""
        authority = settings.admin_ca_file
        if authority is None and settings.security != "open" and settings.secure_dir is not None:
            authority = settings.secure_dir / "public/internal-ca.pem"
        return cls(settings.admin_cert_file, settings.admin_key_file, authority)

    def over(self, others: ClientFiles) -> ClientFiles:
        """Return these files, and the others where these are not given; a certificate comes with its own key."""
        authority = self.authority or others.authority
        if self.certificate is None:
            return ClientFiles(others.certificate, self.key or others.key, authority)
        return ClientFiles(self.certificate, self.key, authority)

    def context(self) -> ssl.SSLContext:
        """Return the context of a session.

        Raises:
            KeyFileError: a file cannot be used; the sentence says which.
        """
        try:
            context = ssl.create_default_context(cafile=self.authority)
        except (OSError, ssl.SSLError) as error:
            raise KeyFileError(f"{self.authority}: {_cause(error, 'no certificate of an authority')}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if self.certificate is None:
            return context
        try:
            context.load_cert_chain(self.certificate, self.key, password=_refuse_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            both = self.certificate if self.key is None else f"{self.certificate} and {self.key}"
            raise KeyFileError(f"{both}: {_cause(error, 'no certificate with its key')}") from error
        return context


NO_FILES: Final = ClientFiles()


def _refuse_password() -> str:
    raise ValueError("the key is encrypted")


def _cause(error: Exception, otherwise: str) -> str:
    if isinstance(error, ssl.SSLError):
        return otherwise
    return error.strerror or otherwise if isinstance(error, OSError) else str(error)
