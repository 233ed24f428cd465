"""The rim of the second opinion: a thread that asks an OpenAI-compatible endpoint, and never holds up who hands it
something.

    asker = Asker(endpoint)
    asker.ask(question)             # from the collector's loop: puts it into a bounded queue
    for answer in asker.take(): ... # what came in since
    asker.close()

Nothing is sent but the question (collector/claims/opinion.py) and the operator's key, to the operator's endpoint: no
proxy out of the environment, no redirect is followed. A question lives :data:`PATIENCE` seconds from when it was
asked; what fails is counted by cause, and never asked again.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from socket import SHUT_RDWR, socket
from threading import Condition, Thread, Timer
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

from collector.claims.model import ClaimDraft
from collector.claims.opinion import MAX_ANSWER, AnswerError, Question, read, request
from polygraph import __version__
from polygraph.errors import PolygraphError
from polygraph.text import printable

if TYPE_CHECKING:
    from http.client import HTTPConnection

#: seconds after which nobody waits for the answer to a question, the time in the queue included
PATIENCE = 30.0
#: most questions that wait; the newest is dropped beyond it
MAX_WAITING = 64

ENDPOINT, MODEL, KEY = "POLYGRAPH_CLAIMS_ENDPOINT", "POLYGRAPH_CLAIMS_MODEL", "POLYGRAPH_CLAIMS_KEY"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

Cause = Literal["too_long", "too_many", "timeout", "unreachable", "refused", "malformed", "misfit", "late"]
"""Why a sentence was not asked about (too_long), a question has no answer (too_many to malformed), a claim of an
answer was not taken (misfit), or an answer came to a session that had ended (late)."""


class Endpoint(NamedTuple):
    """Whom to ask. ``path`` is that of the base URL, ``host`` has no brackets, ``key`` may be empty."""

    host: str
    port: int
    path: str
    tls: bool
    model: str
    key: str = ""

    @property
    def told(self) -> str:
        """Where to and whom, without the key: ``https://host:443/v1 model``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{self.path} {self.model}"


class Answered(NamedTuple):
    """A question and the claims that its answer holds."""

    question: Question
    claims: tuple[ClaimDraft, ...]


def endpoint_of(environ: Mapping[str, str]) -> Endpoint | None:
    """The endpoint that the operator set, None where none is. Raises PolygraphError on one that cannot be used."""
    url = environ.get(ENDPOINT, "")
    if not url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _unusable("it is no URL") from None
    if (
        any(not "!" <= char <= "~" for char in url)
        or parts.scheme not in ("http", "https")
        or not parts.hostname
    ):
        raise _unusable("it is no http:// or https:// URL")
    if parts.username is not None or parts.password is not None:
        raise _unusable(f"it holds credentials, which belong into {KEY}")
    if parts.query or parts.fragment or port == 0:
        raise _unusable("there is more than a path behind the host")
    tls, key, model = parts.scheme == "https", environ.get(KEY, ""), environ.get(MODEL, "")
    if key and not tls and parts.hostname not in _LOOPBACK:
        raise _unusable(f"{KEY} would go over the network in the clear")
    if not key.isascii() or not key.isprintable():
        raise PolygraphError(f"{KEY} is no key: it has characters that no header can carry", "set it anew")
    if not model or len(model) > 256 or printable(model) != model:
        raise PolygraphError(f"{ENDPOINT} is set, and {MODEL} names no model", f"set {MODEL}")
    return Endpoint(parts.hostname, port or (443 if tls else 80), parts.path.rstrip("/"), tls, model, key)


def _unusable(why: str) -> PolygraphError:
    return PolygraphError(f"{ENDPOINT} cannot be used: {why}", "give a base URL such as https://host/v1")


class Limit(Timer):
    """Ends a connection after a time. A socket's own timeout is that of one read: a server that sends a byte now and
    then never meets it."""

    def __init__(self, connection: socket, seconds: float) -> None:
        super().__init__(seconds, self._pass)
        self.passed = False
        self._connection = connection
        self.daemon = True
        self.start()

    def _pass(self) -> None:
        self.passed = True
        with suppress(OSError):  # it has just ended by itself
            socket.shutdown(self._connection, SHUT_RDWR)  # past the TLS layer, which another thread is in


class _Waiting(NamedTuple):
    question: Question
    #: by the clock
    until: float


class Asker:
    """Asks one endpoint, one question at a time. Its methods are called from one thread and return at once."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``patience`` in seconds of ``clock``."""
        self._endpoint = endpoint
        self._patience = patience
        self._clock = clock
        self._changed = Condition()
        self._waiting: deque[_Waiting] = deque()
        #: taken out of the queue and not yet answered
        self._current: _Waiting | None = None
        self._answers: list[Answered] = []
        self._thread: Thread | None = None
        self._closed = False
        self.asked = 0
        self.dropped: Counter[Cause] = Counter()

    def ask(self, question: Question) -> None:
        """Puts a question into the queue; drops it where that is full."""
        with self._changed:
            if question.left_out:
                self.dropped["too_long"] += question.left_out
            if len(self._waiting) >= MAX_WAITING or self._closed:
                self.dropped["too_many"] += 1
                return
            self.asked += 1
            self._waiting.append(_Waiting(question, self._clock() + self._patience))
            self._changed.notify()
        if self._thread is None:  # most sessions say nothing that the rules do not understand
            self._thread = Thread(target=self._work, name="second opinion", daemon=True)
            self._thread.start()

    def take(self) -> list[Answered]:
        """What was answered since the last call."""
        with self._changed:
            answers, self._answers = self._answers, []
        return answers

    def waits(self, session: str) -> bool:
        """Whether an answer of a session is still to come, or was not taken yet. Not for longer than the patience."""
        now = self._clock()
        with self._changed:
            waiting = [*self._waiting, *([self._current] if self._current is not None else [])]
            return any(one.question.session == session and now < one.until for one in waiting) or any(
                answer.question.session == session for answer in self._answers
            )

    def late(self, answer: Answered) -> None:
        """Counts an answer that nobody wants any more."""
        with self._changed:
            self.dropped["late"] += 1 if answer.claims else 0

    def summary(self) -> str:
        """``12 questions, dropped: 1 timeout``."""
        with self._changed:
            dropped = ", ".join(f"{count} {cause}" for cause, count in sorted(self.dropped.items()) if count)
        questions = "1 question" if self.asked == 1 else f"{self.asked:,} questions"
        return f"{questions}, dropped: {dropped}" if dropped else questions

    def close(self) -> None:
        """Asks nothing more. A request under way is left to end by itself: its thread keeps nobody from ending."""
        with self._changed:
            self._closed = True
            self.dropped["late"] += len(self._waiting) + (self._current is not None)
            self._waiting.clear()
            self._current = None
            self._changed.notify()

    # --- in the thread ---------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                self._current = waiting = self._waiting.popleft()
            claims: tuple[ClaimDraft, ...] = ()
            causes: Counter[Cause] = Counter()
            left = waiting.until - self._clock()
            body = (
                self._post(request(waiting.question, self._endpoint.model), left) if left > 0 else "timeout"
            )
            if isinstance(body, bytes):
                try:
                    reading = read(body, waiting.question)
                except AnswerError:
                    causes["malformed"] += 1
                else:
                    claims = reading.claims
                    causes["misfit"] += reading.misfits
            else:
                causes[body] += 1
            with self._changed:
                if self._closed:
                    return  # it counts as late
                self._current = None
                self.dropped += causes
                if claims:
                    self._answers.append(Answered(waiting.question, claims))

    def _post(self, body: bytes, left: float) -> bytes | Cause:
        """The body of the answer, at most a byte more than is read; or why there is none after ``left`` seconds."""
        from http.client import HTTPException

        connection = self._connection(left)
        limit: Limit | None = None
        try:
            connection.connect()
            limit = Limit(connection.sock, left)
            connection.request("POST", f"{self._endpoint.path}/chat/completions", body, self._headers())
            response = connection.getresponse()
            if response.status != 200:
                return "refused"
            answer = response.read(MAX_ANSWER + 1)
        except TimeoutError:
            return "timeout"
        except (OSError, HTTPException):
            return "timeout" if limit is not None and limit.passed else "unreachable"
        else:
            return "timeout" if limit.passed else answer
        finally:
            if limit is not None:
                limit.cancel()
            connection.close()

    def _headers(self) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"polygraph/{__version__}",
        }
        return headers | ({"Authorization": f"Bearer {self._endpoint.key}"} if self._endpoint.key else {})

    def _connection(self, timeout: float) -> HTTPConnection:
        from http.client import HTTPConnection, HTTPSConnection

        kind = HTTPSConnection if self._endpoint.tls else HTTPConnection
        return kind(self._endpoint.host, self._endpoint.port, timeout=timeout)
