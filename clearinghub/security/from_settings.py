"""What the settings make of signatures: both off, unless they say otherwise and the keys are there."""

from __future__ import annotations

from clearinghub.config import Settings
from clearinghub.security.key_directory import KeyDirectory
from clearinghub.security.key_files import read_private_key
from clearinghub.security.signature import Signer, Verifier


def verifier_of(settings: Settings) -> Verifier | None:
    """Judges what comes in; None when signatures are not asked for.

    Raises:
        KeyFileError: a key cannot be used.
    """
    if not settings.jws_validate:
        return None
    assert settings.jws_keys_dir is not None  # the settings' own check
    return Verifier(KeyDirectory(settings.jws_keys_dir, settings.jws_keys_interval_ms))


def signer_of(settings: Settings) -> Signer | None:
    """Signs what the hub itself says; None when that is off.

    Raises:
        KeyFileError: the key cannot be used.
    """
    if not settings.jws_sign:
        return None
    assert settings.jws_private_key_file is not None  # the settings' own check
    return Signer(read_private_key(settings.jws_private_key_file))
