"""Repeats collections in which the kit refuses an answer that it has drawn at random itself.

The toolkit draws the answer for the party 5671234 from the schema of PUT /parties. There `partySubIdOrType` is exactly
one of an enumeration and a string, but a value drawn from the enumeration is both. So about every second answer is
refused with 400 when the hub forwards it, unchanged, to the kit's payer, and the hub notifies the kit's payee.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from tests.conformance.exclusions import COLLECTIONS
from tests.conformance.plan import Collection

DRAWN: Final = (
    COLLECTIONS + "golden_path/feature_tests/p2p_money_transfer/p2p_happy_path_with_balance_checks_ttk.json",
)
DRAWS_MAX: Final = 12
# The extensions of the hub's error to the payee, sent only when the payer has refused a party as malformed.
REFUSED: Final = {
    "sourceFsp": "ttkpayeefsp",
    "destinationFsp": "testingtoolkitdfsp",
    "method": "PUT",
    "status": "400",
}


def draw_again(
    chosen: Sequence[Collection], reports: Path, run_one: Callable[[Collection], None], tell: Callable[[str], None]
) -> None:
    """Run the collections again whose draw was not valid; the last report counts."""
    for collection in chosen:
        if collection.file not in DRAWN:
            continue
        report = reports / f"{collection.order:03}.json"
        for _ in range(DRAWS_MAX):
            if not was_refused(report):
                break
            tell(f"{collection.order:>3} again: the kit refused what it had drawn itself")
            run_one(collection)


def was_refused(report: Path) -> bool:
    """Whether the kit's payer refused the answer of its payee to the lookup."""
    if not report.is_file():
        return False
    cases = json.loads(report.read_text())["test_cases"]
    return any(
        request["request"].get("operationPath") == "/parties/{Type}/{ID}" and _refusal(request) == REFUSED
        for case in cases
        for request in case["requests"]
    )


def _refusal(request: dict[str, Any]) -> dict[str, str]:
    body = (request.get("callback") or {}).get("body") or {}
    extensions = body.get("errorInformation", {}).get("extensionList", {}).get("extension", [])
    return {one["key"]: one["value"] for one in extensions}
