"""Settings of a hub of one test's own, on the broker that all tests share: nothing of it has a name of another test's.

Topics have the prefix in their names, changelogs, consumer groups and transactional ids the application's id; a test
with its own prefix and the default id gets other tests' changelogs, with their numbers of partitions.
"""

from __future__ import annotations

import os
from typing import Any

from clearinghub.config import Settings


def settings_apart(bootstrap: str, prefix: str, **options: Any) -> Settings:
    """Return settings with a prefix, and an application id that has it too."""
    return Settings(kafka_bootstrap=bootstrap, topic_prefix=prefix, application_id=f"{prefix}hub", **options)


def environment_of(settings: Settings, **more: object) -> dict[str, str]:
    """Return the environment of a process with these settings; more of them by the names of their fields."""
    return {
        **os.environ,
        "KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "CLEARINGHUB_TOPIC_PREFIX": settings.topic_prefix,
        "CLEARINGHUB_APPLICATION_ID": settings.application_id,
        "CLEARINGHUB_PARTITIONS": str(settings.partitions),
        "CLEARINGHUB_DATA_DIR": str(settings.data_dir),
        "CLEARINGHUB_RUN_DIR": str(settings.run_dir),
        **{f"CLEARINGHUB_{name.upper()}": str(value) for name, value in more.items()},
    }
