"""How a simulated payee DFSP answers a transfer; the transfer itself may choose, so that a person with curl can."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

EXTENSION_KEY: Final = "sandbox"  # key in the transfer's extensionList, which the hub passes on and never reads


class Behaviour(Enum):
    """What the payee DFSP does with a transfer that the hub forwards to it."""

    COMMIT = "commit"  # PUT with the fulfilment, transferState COMMITTED
    RESERVE = "reserve"  # PUT with the fulfilment, transferState RESERVED; the hub tells the outcome by PATCH
    REJECT = "reject"  # PUT /error
    SILENT = "silent"  # no answer: the transfer times out
    WRONG_FULFILMENT = "wrong-fulfilment"  # PUT with a fulfilment that does not fit the condition


REJECTION_CODE: Final = "5105"
REJECTION_TEXT: Final = "Payee FSP rejected transaction"


def chosen_behaviour(transfer: dict[str, Any]) -> Behaviour:
    """The behaviour that a transfer's extensionList asks for under the key `sandbox`; COMMIT if it asks for none."""
    extension_list = transfer.get("extensionList")
    extensions = extension_list.get("extension") if isinstance(extension_list, dict) else None
    for extension in extensions if isinstance(extensions, list) else []:
        if isinstance(extension, dict) and extension.get("key") == EXTENSION_KEY:
            wanted = extension.get("value")
            return next((member for member in Behaviour if member.value == wanted), Behaviour.COMMIT)
    return Behaviour.COMMIT
