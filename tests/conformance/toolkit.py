"""Runs the kit by its own scripts: from the hub's addresses and a list of collections to a folder of reports."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clearinghub.tools.client.hub_urls import HubUrls
from tests.conformance.exclusions import COLLECTIONS
from tests.conformance.plan import Collection

# The longest collection takes 40 s; one that hangs must not use the time of the others.
COLLECTION_MS_MAX: Final = 240_000
STOP_TIMEOUT_S: Final = 30
LINES_SHOWN_MAX: Final = 15
# run_acceptance.sh prints this after each collection. Its own verdict includes what does not apply.
_COLLECTION_ENDED: Final = re.compile(r"(\d+) rc=.*?(collections/.*\.json)$")
HUB_ENV: Final = """\
HUB_FSPIOP={urls.fspiop}
HUB_ADMIN={urls.admin}
HUB_SETTLEMENT={urls.admin}/v2
HUB_NAME=Hub
API_VERSION=1.1
"""


class ToolkitError(Exception):
    """The kit's programs did not start, or did not end in time."""


@dataclass(frozen=True, slots=True)
class Toolkit:
    """The kit in folder `kit`, with reports in `out` and the files of its servers in `servers`."""

    kit: Path
    out: Path
    servers: Path

    def run(
        self, urls: HubUrls, collections: Sequence[Collection], limit_s: float, tell: Callable[[str], None]
    ) -> None:
        """Run the collections in order; `tell` is called after each. The reports are in `out`.

        Raises:
            ToolkitError: the kit ended without a score, or took longer than `limit_s`.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        hub_env = self.out / "hub.env"
        hub_env.write_text(HUB_ENV.format(urls=urls))
        plan = self.out / "acceptance.json"
        plan.write_text(json.dumps({"list": [one.entry for one in collections]}, indent=1))
        process = subprocess.Popen(
            [str(self.kit / "run_acceptance.sh"), str(hub_env), str(self.out), "all"],
            env=self._environment() | {"TTK_ACCEPTANCE": str(plan), "TTK_RUN_TIMEOUT_MS": str(COLLECTION_MS_MAX)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        late = threading.Event()

        def end_late() -> None:
            late.set()
            with contextlib.suppress(ProcessLookupError):  # the process has just ended
                os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(limit_s, end_late)
        timer.start()
        lines: list[str] = []
        try:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.rstrip())
                ended = _COLLECTION_ENDED.match(line)
                if ended is not None:
                    tell(f"{ended[1]:>3} {ended[2].removeprefix(COLLECTIONS)}")
            process.wait()
        finally:
            timer.cancel()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            (self.out / "console.log").write_text("\n".join(lines))
        if late.is_set():
            raise ToolkitError(f"the kit did not end within {limit_s:.0f} s")
        if not (self.out / "score.json").is_file():
            shown = "\n".join(lines[-LINES_SHOWN_MAX:])
            raise ToolkitError(f"the kit ended with code {process.returncode} and without a score:\n{shown}")

    def run_again(self, collection: Collection) -> None:
        """Run a collection once more, on the servers that still run, and count the score again.

        Raises:
            ToolkitError: there is no score.
        """
        log = self.out / f"{collection.order:03}.log"
        environment = self._environment() | {
            "TTK_CASES": str(self.kit / "cases"),
            "TTK_QUIET": "1",
            "TTK_SHOW_FAILS": "1",
            "TTK_INPUTS": json.dumps(collection.entry.get("inputs", {})),
            "TTK_RUN_TIMEOUT_MS": str(COLLECTION_MS_MAX),
        }
        file, report = self.kit / "cases" / collection.file, log.with_suffix(".json")
        command = [str(self.kit / "run_ttk.sh"), str(self.out / "hub.env"), str(file), str(report)]
        count = [str(self.kit / "node_modules" / ".bin" / "node"), str(self.kit / "lib" / "score.cjs")]
        with log.open("w") as output:
            # The exit code says whether all passed; the report has what did.
            subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                timeout=COLLECTION_MS_MAX / 1000 + STOP_TIMEOUT_S,
            )
        (self.out / "score.json").unlink()
        subprocess.run(
            [*count, str(self.out / "acceptance.json"), str(self.out)],
            env=environment,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=STOP_TIMEOUT_S,
        )
        if not (self.out / "score.json").is_file():
            raise ToolkitError(f"the kit has counted no score after {collection.file}")

    def stop(self) -> None:
        """Stop the kit's servers, by the process ids that it has noted."""
        subprocess.run(
            [str(self.kit / "run_ttk.sh"), "--stop"],
            env=self._environment(),
            timeout=STOP_TIMEOUT_S,
            check=True,
            stdin=subprocess.DEVNULL,
        )

    def _environment(self) -> dict[str, str]:
        return os.environ | {"TTK_RUN_DIR": str(self.servers)}
