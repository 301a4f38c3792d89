"""One HTTP/1.1 connection to a DFSP: one request at a time, and only the status of its answer matters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

import httptools

ANSWER_BYTES_MAX: Final = 64 * 1024
"""The longest answer after which a connection is used again; answers to callbacks should have no body."""

_FINAL_STATUS_MIN: Final = 200  # after a lower one another answer to the same request follows (RFC 9110, 15.2)


class NoAnswerError(Exception):
    """No status came: the connection was closed, the answer was not HTTP, or time was up."""

    def __init__(self, *, timed_out: bool) -> None:
        super().__init__("no answer in time" if timed_out else "closed without an answer")
        self.timed_out = timed_out


class Connection(asyncio.Protocol):
    """Sends one request after the other; httptools, a binding of Node.js' own parser, reads the answers.

    A request ends with its status when the answer is complete, or when the rest of the answer is cut off, too long or
    too late.
    """

    def __init__(self, on_idle: Callable[[Connection], None], on_closed: Callable[[Connection], None]) -> None:
        """`on_idle` is called when the connection may carry another request, `on_closed` when it is of no more use."""
        self.idle_since_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._on_idle = on_idle
        self._on_closed = on_closed
        self._is_open = True
        self._transport: asyncio.WriteTransport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[int] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._status = 0
        self._body_bytes = 0

    def request(self, request: bytes, timeout_s: float) -> asyncio.Future[int]:
        """Send a request and return a future of its answer's status, which may raise NoAnswerError."""
        assert self._answer is None
        assert self._transport is not None
        answer = self._answer = self._loop.create_future()
        self._timer = self._loop.call_later(timeout_s, self._time_out)
        self._status = 0
        self._body_bytes = 0
        self._transport.write(request)
        return answer

    def close(self) -> None:
        """Close the connection. A request in flight ends with its status if that has come, else with NoAnswerError."""
        self._close(timed_out=False)

    def _time_out(self) -> None:
        self._close(timed_out=True)

    def _close(self, *, timed_out: bool) -> None:
        if self._is_open:
            self._is_open = False
            self._on_closed(self)
            if self._transport is not None:
                self._transport.abort()
        self._end(timed_out=timed_out)

    def _end(self, *, timed_out: bool) -> None:
        answer, self._answer = self._answer, None
        if self._timer is not None:
            self._timer.cancel()
        if answer is None or answer.done():
            return
        if self._status:
            answer.set_result(self._status)
        else:
            answer.set_exception(NoAnswerError(timed_out=timed_out))

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.close()

    def data_received(self, data: bytes) -> None:
        if self._answer is None:  # bytes without a request before them
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:  # also for an upgrade of the protocol, which no request wants
            self.close()

    # Called by httptools.

    def on_message_begin(self) -> None:
        if self._answer is None:  # a second answer to the same request
            self.close()

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= _FINAL_STATUS_MIN:
            self._status = status

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > ANSWER_BYTES_MAX:
            self.close()

    def on_message_complete(self) -> None:
        """End the request; the connection may carry another one if both sides keep it."""
        if not self._status or not self._is_open:
            return
        if self._parser.should_keep_alive():
            self._end(timed_out=False)
            self._on_idle(self)
        else:
            self.close()
