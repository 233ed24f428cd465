"""Which call goes on from which, and what is new in a request: each carries the conversation again. Pure.

Told by what a request answers: the result of a tool call belongs to the call that asked for it. Without tools,
a request with more messages than the last one of the same process, API, model and instructions goes on from
that one. Where two requests go on from the same call (a fork, several answers to one question), neither goes on
from the other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from collector.bounded import put
from collector.llm.seen import RequestSeen
from polygraph.events import ProcessKey

#: most calls whose conversation is remembered, and most tool calls; the oldest go first
MAX_CALLS = 4096
MAX_TOOL_CALLS = 65_536
#: results at the end of a request among which a known one is looked for
LAST_RESULTS = 16


class New(NamedTuple):
    """What a request adds. ``follows``: the call that it goes on from, empty where none was seen."""

    follows: str = ""
    texts: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of what is new."""
        return sum(len(text.encode("utf-8", "surrogatepass")) for text in self.texts)


class _Tip(NamedTuple):
    """The last request of a conversation since something of it was known: its call and number of messages."""

    call: str
    messages: int


class Conversations:
    """The conversations of a session."""

    def __init__(self) -> None:
        #: which call asked for a tool call, by the tool call's id
        self._asked_by: OrderedDict[str, str] = OrderedDict()
        #: the call of an answer, by the answer's id
        self._answers: OrderedDict[str, str] = OrderedDict()
        self._tips: OrderedDict[tuple[str, ...], _Tip] = OrderedDict()
        #: digest of the user's last message, by call
        self._users: OrderedDict[str, bytes] = OrderedDict()

    def tool_call(self, call_id: str, call: str) -> None:
        """Call ``call`` asked for a tool call."""
        put(self._asked_by, call_id, call, MAX_TOOL_CALLS)

    def answered(self, response_id: str, call: str) -> None:
        """Call ``call`` got the answer ``response_id``."""
        put(self._answers, response_id, call, MAX_CALLS)

    def request(
        self,
        call: str,
        seen: RequestSeen,
        process: ProcessKey,
        result_ids: Sequence[str],
        results: Sequence[str],
    ) -> New:
        """A request of ``call``: ``result_ids`` of its last results, and the texts of those that are new."""
        request = seen.request
        base = self._base(result_ids)
        key = (
            (base,) if base else (process, seen.api, seen.host, request.model, str(request.instructions_size))
        )
        tip = self._tips.get(key)
        said = blake2b(request.user_text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        before = self._answers.get(request.previous_response_id or "")
        grown = tip is not None and request.message_count > tip.messages
        follows = before or (tip.call if tip is not None and grown else base)
        put(self._tips, key, _Tip(call, request.message_count), MAX_CALLS)
        # A user may say the same words again: then there is a message more, and no result that it came with.
        heard = follows and self._users.get(follows) == said and (results or not (grown or before))
        put(self._users, call, said, MAX_CALLS)
        return New(follows, (*results, *(() if heard else (request.user_text,))))

    def _base(self, result_ids: Sequence[str]) -> str:
        """The call that asked for the last result whose tool call was seen."""
        for call_id in reversed(result_ids):
            if call_id in self._asked_by:
                return self._asked_by[call_id]
        return ""
