"""Collected only when `make fuzz` asks for it: it takes minutes, and schemathesis a second to import."""

from __future__ import annotations

import os

collect_ignore_glob = [] if "FUZZ_REQUESTS" in os.environ else ["test_*.py"]
