"""One HTTP/1.1 connection to a DFSP: a request at a time, of whose answer only the status counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

import httptools

ANSWER_BYTES_MAX: Final = 64 * 1024
"""What is read of an answer so that its connection can be used again; callbacks' answers have no body."""

_FINAL_STATUS_MIN: Final = 200  # below, another answer to the same request follows (RFC 9110, 15.2)


class NoAnswerError(Exception):
    """The connection ended, or said what is not HTTP, or time was up, before a status came."""

    def __init__(self, *, timed_out: bool) -> None:
        super().__init__("no answer in time" if timed_out else "closed without an answer")
        self.timed_out = timed_out


class Connection(asyncio.Protocol):
    """Sends requests one behind the other; httptools, a binding of Node.js' own parser, reads the answers.

    The status is given when the answer is complete, or when what follows it is cut off, too long or late.
    """

    def __init__(self, on_idle: Callable[[Connection], None], on_closed: Callable[[Connection], None]) -> None:
        """`on_idle` takes the connection when it may carry another request, `on_closed` when it is of no more use."""
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
        """Send a request. The future is its answer's status, or NoAnswerError."""
        assert self._answer is None
        assert self._transport is not None
        answer = self._answer = self._loop.create_future()
        self._timer = self._loop.call_later(timeout_s, self._time_out)
        self._status = 0
        self._body_bytes = 0
        self._transport.write(request)
        return answer

    def close(self) -> None:
        """Close; an answer that is waited for ends as it stands."""
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

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The receiver has closed it, or it broke."""
        del exc
        self.close()

    def data_received(self, data: bytes) -> None:
        """A piece of an answer, or of what nobody asked for."""
        if self._answer is None:
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:  # an upgrade that nobody asked for among them
            self.close()

    # httptools' side

    def on_message_begin(self) -> None:
        """An answer begins, or a second one that nobody asked for."""
        if self._answer is None:
            self.close()

    def on_headers_complete(self) -> None:
        """The status is known."""
        status = self._parser.get_status_code()
        if status >= _FINAL_STATUS_MIN:
            self._status = status

    def on_body(self, body: bytes) -> None:
        """A piece of a body, which nobody reads."""
        self._body_bytes += len(body)
        if self._body_bytes > ANSWER_BYTES_MAX:
            self.close()

    def on_message_complete(self) -> None:
        """The answer is complete: the connection may carry another request, if both sides keep it."""
        if not self._status or not self._is_open:
            return
        if self._parser.should_keep_alive():
            self._end(timed_out=False)
            self._on_idle(self)
        else:
            self.close()
