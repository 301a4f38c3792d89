"""Logs: one line for each event on standard output, as JSON for machines or in colour for people.

An event is a name in kebab-case and a few key-value pairs. Bodies of messages are never logged, because they hold names
and accounts of people. Libraries that use standard logging appear in the same form, from WARNING up.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, Final

import orjson
import structlog
from aiohttp.http_exceptions import HttpProcessingError
from structlog.typing import Processor

from clearinghub.config import Settings

# aiokafka makes its debug records even if no handler prints them: 12% of the ledger's CPU (design 5).
QUIET_LIBRARIES: Final = ("faust", "mode", "aiohttp", "asyncio")
# It warns of all that it retries by itself: several times a second when transactions follow each other closely.
QUIETER_LIBRARIES: Final = ("aiokafka",)
COMPLAINT_INTERVAL_S: Final = 10.0


def set_up_logs(settings: Settings, role: str) -> None:
    """Write all logs of this process to standard output, each line with the role and its instance."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    level = logging.getLevelNamesMapping()[settings.log_level]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(_OnceInAWhile())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(settings, role)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # A malformed request is the client's mistake: aiohttp answers 400, and would log a traceback.
    logging.getLogger("aiohttp.server").addFilter(_without_client_mistakes)
    for names, least in ((QUIET_LIBRARIES, logging.WARNING), (QUIETER_LIBRARIES, logging.ERROR)):
        for name in names:
            library = logging.getLogger(name)
            library.handlers = []
            library.setLevel(max(level, least))


# Tracebacks are without the frames' variables, which hold bodies of messages.
_TRACEBACKS: Final = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def _console() -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback)


class _OnceInAWhile(logging.Filter):
    """Lets each message of the Kafka client pass once in ten seconds: without a broker it logs twenty a second."""

    def __init__(self) -> None:
        super().__init__()
        self._next_at_s: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(QUIETER_LIBRARIES):
            return True
        now_s = time.monotonic()
        if now_s < self._next_at_s.get(record.msg, 0.0):
            return False
        self._next_at_s[record.msg] = now_s + COMPLAINT_INTERVAL_S  # message templates: a bounded number
        return True


def _without_client_mistakes(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


def _rendering(settings: Settings, role: str) -> list[Processor]:
    def add_origin(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {"role": role, "instance": settings.instance, **event}

    if settings.log_format == "console":
        return [add_origin, _console()]
    return [add_origin, _TRACEBACKS, structlog.processors.JSONRenderer(serializer=_json)]


def _json(event: Any, **_options: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
