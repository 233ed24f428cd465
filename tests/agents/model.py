"""The scripted model: what each request gets. It knows no socket; every transport asks it.

It answers every main request of the client with the next turn of a :class:`Script`, in whichever API it was
asked, and keeps what it was sent. A turn may have troubles: refusals and streams that break off, as a real
service has them; the turn is said again to whoever asks again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.agents.frames import SSE, Frame
from tests.agents.script import Answer, Script, Trouble
from tests.agents.wire import Wire, body, content_type, events, prewarmed, streamed, wire_of

Json = dict[str, Any]
Transport = Literal["http/1.1", "h2", "websocket"]
#: what is said of a request that the service has no room for
_BUSY = "The service is busy. Please try again."
#: so many events, or bytes, of an answer that is dropped go out
_FIRST_WORDS = 2


@dataclass(frozen=True)
class Request:
    """A request that arrived. ``turn``: index of the answer that it was to get, None for a side request.

    ``status`` 0: its answer broke off. Of a WebSocket, ``headers`` are those of its upgrade.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    wire: Wire | None
    streamed: bool
    turn: int | None
    status: int
    transport: Transport

    @property
    def json(self) -> Json:
        """The body. Raises ValueError when it is no JSON object."""
        value: Json = dict(json.loads(self.body))
        return value


@dataclass(frozen=True)
class Asked:
    """A request as a transport has it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    transport: Transport


@dataclass(frozen=True)
class Reply:
    """What is sent: ``events``, or ``content`` whole; ``kind`` is its content type.

    ``cut``: no end follows, the connection breaks off.
    """

    status: int
    content: bytes = b""
    events: tuple[Frame, ...] | None = None
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    cut: bool = False
    answer: Answer | None = None


def has_tools(request: Json) -> bool:
    """The usual test for a main request: it offers tools."""
    return bool(request.get("tools"))


def _error(status: int, kind: str, message: str, **headers: str) -> Reply:
    content = json.dumps({"error": {"message": message, "type": kind}}).encode()
    return Reply(status, content, headers=tuple((name.replace("_", "-"), v) for name, v in headers.items()))


class Model:
    """The script, and how much of it was said. Every connection's thread asks the same one.

    ``release_folder`` is where a turn's ``release`` file is made. ``is_main`` tells the requests that the script
    answers from titles, summaries and the like. ``before`` is called with a turn's number before it is answered.
    """

    def __init__(
        self,
        script: Script,
        release_folder: Path | None,
        is_main: Callable[[Json], bool],
        before: Callable[[int], None] | None = None,
    ) -> None:
        self._script = script
        self._before = before
        self._release_folder = release_folder
        self._is_main = is_main
        self._lock = threading.Lock()
        self._requests: list[Request] = []
        self._last: bytes | None = None
        self._next = 0
        self._side = 0
        #: by turn: how many of its troubles were had
        self._troubles: dict[int, int] = {}
        self._timers: list[threading.Timer] = []

    @property
    def requests(self) -> tuple[Request, ...]:
        """What has arrived so far, in order."""
        with self._lock:
            return tuple(self._requests)

    @property
    def turns_served(self) -> int:
        """How much of the script was said."""
        with self._lock:
            return self._next

    @property
    def finished(self) -> bool:
        """Whether the whole script was said."""
        return self.turns_served == len(self._script.answers)

    def stop(self) -> None:
        """Ends what still waits for its time."""
        for timer in self._timers:
            timer.cancel()
            timer.join()

    def reply(self, asked: Asked) -> Reply:
        """What ``asked`` gets; it is kept."""
        wire = wire_of(asked.path) if asked.method == "POST" or asked.transport == "websocket" else None
        if wire is None:
            counts = ("count_tokens", ":countTokens")
            if asked.path.partition("?")[0].endswith(counts):
                reply = Reply(200, json.dumps({"input_tokens": 100, "totalTokens": 100}).encode())
            else:
                reply = _error(404, "not_found_error", "unknown")
            return self._kept(asked, reply, None, None)
        try:
            request = json.loads(asked.body)
        except ValueError:
            return self._kept(asked, _error(400, "invalid_request", "no JSON"), None, None)
        if asked.transport == "websocket" and request.get("generate") is False:
            return self._kept(asked, Reply(200, events=tuple(prewarmed(request)), kind=SSE), wire, None)
        answer, turn, name, trouble = self._next_answer(request, asked.body)
        if turn is not None and self._before is not None:
            self._before(turn)
        if trouble == "rate_limited":
            reply = _error(429, "rate_limit_error", _BUSY, retry_after="1")
        elif trouble == "overloaded":
            status = 529 if wire == "anthropic.messages" else 503
            reply = _error(status, "overloaded_error", _BUSY)
        elif asked.transport == "websocket" or streamed(wire, asked.path, request):
            happened = tuple(events(wire, answer, request, name))
            end = {"dropped": _FIRST_WORDS, "cut": len(happened) // 2}.get(trouble or "")
            reply = Reply(
                200, events=happened[:end], kind=content_type(wire), cut=end is not None, answer=answer
            )
        else:
            content = json.dumps(body(wire, answer, request, name)).encode()
            end = {"dropped": _FIRST_WORDS, "cut": len(content) // 2}.get(trouble or "")
            reply = Reply(200, content[:end], cut=end is not None, answer=answer)
        return self._kept(asked, reply, wire, turn)

    def said(self, reply: Reply) -> None:
        """``reply`` was sent whole: what waits for its answer may go on."""
        answer = reply.answer
        if answer is None or answer.release is None or self._release_folder is None or reply.cut:
            return
        timer = threading.Timer(answer.release_after, (self._release_folder / answer.release).touch)
        with self._lock:
            self._timers.append(timer)
        timer.start()

    def _next_answer(self, request: Json, sent: bytes) -> tuple[Answer, int | None, str, Trouble | None]:
        """The answer to ``request``, its turn, a name for ids, and its trouble. The same bytes again are a retry."""
        with self._lock:
            if self._is_main(request):
                answers = self._script.answers
                if self._last is not None and sent == self._last:
                    return answers[self._next - 1], self._next - 1, f"t{self._next - 1}", None
                if self._next < len(answers):
                    turn, answer = self._next, answers[self._next]
                    had = self._troubles.get(turn, 0)
                    if had < len(answer.troubles):
                        self._troubles[turn] = had + 1
                        return answer, turn, f"t{turn}x{had}", answer.troubles[had]
                    self._next, self._last = turn + 1, sent
                    return answer, turn, f"t{turn}", None
            self._side += 1
            return self._script.side, None, f"s{self._side}", None

    def _kept(self, asked: Asked, reply: Reply, wire: Wire | None, turn: int | None) -> Reply:
        request = Request(
            asked.method, asked.path, asked.headers, asked.body, wire, reply.events is not None, turn,
            0 if reply.cut else reply.status, asked.transport,
        )  # fmt: skip
        with self._lock:
            self._requests.append(request)
        return reply
