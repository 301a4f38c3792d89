"""How a simulated payee's DFSP answers a transfer. A transfer may choose by an extension, so that curl is enough."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

EXTENSION_KEY: Final = "sandbox"  # in the extensionList, which the hub forwards and never reads


class Behaviour(Enum):
    """What the payee's DFSP does with a transfer that the hub forwards to it."""

    COMMIT = "commit"  # PUT with the fulfilment, transferState COMMITTED
    RESERVE = "reserve"  # PUT with the fulfilment, transferState RESERVED; the hub confirms by PATCH
    REJECT = "reject"  # PUT /error
    SILENT = "silent"  # no answer: the transfer times out
    WRONG_FULFILMENT = "wrong-fulfilment"  # PUT with a fulfilment that does not fit the condition


REJECTION_CODE: Final = "5105"
REJECTION_TEXT: Final = "Payee FSP rejected transaction"


def chosen_behaviour(transfer: dict[str, Any]) -> Behaviour:
    """Return the behaviour that the transfer's extension `sandbox` names; COMMIT if it names none."""
    extension_list = transfer.get("extensionList")
    extensions = extension_list.get("extension") if isinstance(extension_list, dict) else None
    for extension in extensions if isinstance(extensions, list) else []:
        if isinstance(extension, dict) and extension.get("key") == EXTENSION_KEY:
            value = extension.get("value")
            return next((member for member in Behaviour if member.value == value), Behaviour.COMMIT)
    return Behaviour.COMMIT
