"""All databases of a process share one bounded amount of memory."""

from __future__ import annotations

import os
from pathlib import Path

from clearinghub.engine import store

DATABASES = 12
ROW_BYTES = 20_000
ROWS = 800  # of each: 192 MB in all, more than the memory


def test_many_databases_stay_within_the_memory_they_share(tmp_path: Path) -> None:
    blocks, _buffers = store.shared_memory()
    options = store.SharedMemoryOptions(**store.ROCKSDB_OPTIONS)
    databases = [options.open(tmp_path / str(number)) for number in range(DATABASES)]
    used = []

    for number in range(ROWS):
        for database in databases:
            database[b"%d" % number] = os.urandom(ROW_BYTES)
        used.append(blocks.get_usage())

    assert max(used) <= store.MEMORY_BYTES
    for database in databases:
        assert all(len(database[b"%d" % number]) == ROW_BYTES for number in range(0, ROWS, 100))
        database.close()
