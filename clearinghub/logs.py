"""Logs: one line for each event on standard output, as JSON for machines or in colour for people.

An event is a name in kebab-case and a few key-value pairs. Bodies of messages are never logged, because they hold names
and accounts of people; paths that name a party are shown by `without_persons`. Libraries that use standard logging
appear in the same form, from WARNING up.

What comes from outside can neither fill the log nor do anything to the terminal on which it is read: values are cut,
and control characters escaped.
"""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import time
from typing import Any, Final, TextIO

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
VALUE_LENGTH_MAX: Final = 128
SENTENCE_LENGTH_MAX: Final = 4_096
LONG_KEYS: Final = frozenset({"event", "error", "exception", "folder", "file", "reason", "remedy", "stack"})
"""The keys of values that the hub has written itself, such as sentences for operators."""

# Those of ASCII and Latin-1, those that end a line or turn the direction of the text, and lone surrogates.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


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


def _cut(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {
        key: value[: SENTENCE_LENGTH_MAX if key in LONG_KEYS else VALUE_LENGTH_MAX] if isinstance(value, str) else value
        for key, value in event.items()
    }


def _escape(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape control characters, which JSON does by itself and a console would obey."""
    return {key: _escaped(value) if isinstance(value, str) else value for key, value in event.items()}


def _escaped(text: str) -> str:
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def _traceback(output: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    """Write a traceback as plain text; its message may have come from outside."""
    text = io.StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    output.write("\n".join(_escaped(line) for line in text.getvalue().split("\n")))


def _console() -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=_traceback)


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
        return [add_origin, _cut, _escape, _console()]
    return [add_origin, _cut, _TRACEBACKS, structlog.processors.JSONRenderer(serializer=_json)]


def _json(event: Any, **_options: Any) -> str:
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:  # a lone surrogate, for instance of a header that was no UTF-8
        return json.dumps(event, default=str)
