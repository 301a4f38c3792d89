"""What a user can do wrong, and what can be away: a sentence and an exit code for each, in place of a traceback."""

from __future__ import annotations

from typing import Any, Final

from aiokafka.errors import KafkaError
from pydantic import SecretStr, ValidationError

from clearinghub.config import Settings
from clearinghub.engine.errors import StoredFormatError
from clearinghub.features import UnknownLevelError
from clearinghub.kafka.access import KafkaAccessError
from clearinghub.kafka.broker import BrokerUnavailableError
from clearinghub.kafka.topology import TopicAccessError, TopicCreationError, TopologyError, TopologyMismatchError
from clearinghub.process import RoleFailedError
from clearinghub.roles.all import CannotStartError
from clearinghub.roles.fees import FeesFileError
from clearinghub.roles.supervisor import ChildLostError
from clearinghub.security.key_files import KeyFileError
from clearinghub.security.profile import ProfileError
from clearinghub.tools.command_line import EXIT_FAILED, EXIT_NO_HUB, EXIT_WRONG_USAGE
from clearinghub.tools.topics import TopicsMissingError

_SECRET_SETTINGS: Final = frozenset(
    name for name, field in Settings.model_fields.items() if field.annotation is SecretStr
)
_WRONG_SETTINGS: Final = (FeesFileError, KafkaAccessError, KeyFileError)
_NO_BROKER: Final = (BrokerUnavailableError, TopicsMissingError)
_OLD_DATA: Final = (
    "the data of an earlier release cannot be used: {}. Delete it (`make clean-data` for the local broker), or set "
    "another CLEARINGHUB_TOPIC_PREFIX and CLEARINGHUB_APPLICATION_ID for a new, empty hub."
)
_FAILED: Final = (
    CannotStartError,
    ChildLostError,
    RoleFailedError,
    TopicAccessError,
    TopicCreationError,
    TopologyError,
    TopologyMismatchError,
    UnknownLevelError,
)


def explained(error: Exception) -> tuple[list[str], int]:
    """Return what to say of an error that has ended a command, and the exit code.

    Raises:
        Exception: the error itself, if it is a fault of the hub, not of its user or environment.
    """
    if isinstance(error, ValidationError) and error.title == Settings.__name__:
        return [_wrong_setting(problem) for problem in error.errors()], EXIT_WRONG_USAGE
    if isinstance(error, ProfileError):
        return error.faults, EXIT_WRONG_USAGE
    if isinstance(error, _WRONG_SETTINGS):
        return [str(error)], EXIT_WRONG_USAGE
    if isinstance(error, _NO_BROKER):
        return [str(error)], EXIT_NO_HUB
    if isinstance(error, KafkaError):
        return [f"the broker cannot be used: {error}"], EXIT_NO_HUB
    if isinstance(error, StoredFormatError):
        return [_OLD_DATA.format(error)], EXIT_FAILED
    if isinstance(error, _FAILED):
        return [str(error)], EXIT_FAILED
    raise error


def _wrong_setting(problem: Any) -> str:
    name = ".".join(map(str, problem["loc"]))
    value = "" if name in _SECRET_SETTINGS else f" (got {problem['input']!r})"
    return f"setting {name}: {problem['msg']}{value}"
