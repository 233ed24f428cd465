"""Which call a request is a try of: the same one again after it failed is the same call.

What is remembered of a try is a digest of its request, within bounds: a call whose earlier tries were
forgotten counts as a new one.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from collector.bounded import put
from collector.llm.seen import RequestSeen, ResponseSeen
from polygraph.events import Fate

#: most failed requests, and most answers that may be gone on with, that are remembered; the oldest go first
MAX_REMEMBERED = 1024
#: most failed tries that are remembered of one request
MAX_EQUAL = 64

_FAILED: frozenset[Fate] = frozenset({"refused", "interrupted", "cancelled", "unanswered"})


class Attempt(NamedTuple):
    """A try: the call's id, and which try it is, from 1."""

    call: str
    number: int


class Attempts:
    """The tries of a session. A try has an id of its own, which its first one gives to the call."""

    def __init__(self) -> None:
        #: tries without an answer, with what their requests are; None: a later one took its place
        self._running: dict[str, tuple[Attempt, bytes | None]] = {}
        #: failed tries of each request, the oldest first
        self._failed: OrderedDict[bytes, list[Attempt]] = OrderedDict()
        self._answers: OrderedDict[str, Attempt] = OrderedDict()

    def asked(self, own: str, seen: RequestSeen) -> Attempt:
        """A request with the id ``own`` was sent.

        Equal requests at the same time are as many calls (an agent may ask for several answers), unless the
        client says that it asks again: then it gave up on the one before, though that was not seen yet.
        """
        failed = self._failed.get(seen.digest)
        if failed:
            before: Attempt | None = failed.pop(0)
            if not failed:
                del self._failed[seen.digest]
        else:
            before = self._given_up(seen.digest) if seen.again else None
        attempt = Attempt(before.call, before.number + 1) if before is not None else Attempt(own, 1)
        self._running[own] = (attempt, seen.digest)
        return attempt

    def over(self, own: str, seen: ResponseSeen) -> Attempt:
        """The answer to request ``own`` is over: the try that it was."""
        attempt, digest = self._running.pop(own, (Attempt(own, 1), None))
        if seen.resumes is not None:
            before = self._answers.pop(seen.resumes, None)
            if before is not None:
                attempt = Attempt(before.call, before.number + 1)
        if seen.fate not in _FAILED:
            return attempt
        if digest is not None:
            failed = self._failed.get(digest, [])
            if len(failed) < MAX_EQUAL:
                failed.append(attempt)
            put(self._failed, digest, failed, MAX_REMEMBERED)
        ident = seen.resumes or (seen.response.response_id if seen.response is not None else None)
        if ident is not None:
            put(self._answers, ident, attempt, MAX_REMEMBERED)
        return attempt

    def _given_up(self, digest: bytes) -> Attempt | None:
        for own, (attempt, running) in self._running.items():
            if running == digest:
                self._running[own] = (attempt, None)
                return attempt
        return None
