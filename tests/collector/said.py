"""Sessions made of a conversation: what the agent and its model say, as plaintext of one connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from collector.file_states import FileLook
from collector.http.events import Direction
from collector.pipeline import SessionPipeline
from collector.tls.streams import Chunk, ConnectionKey
from polygraph.content import ContentLevel
from polygraph.events import AnyEvent, Event, SessionStart
from tests.agents.script import Answer, ToolCall
from tests.agents.wire import Wire, body
from tests.collector.llm.http import PATHS, Json, answer, ask, question, stream, streamed_answer

ROOT = "10:1"
#: secret of the store, for digests
HOST_KEY = b"key of the host"
KEY = ConnectionKey(ROOT, 0x7F00, 1)
#: which field of a request has the conversation, where it is not ``messages``
HISTORY: dict[Wire, str] = {"openai.responses": "input", "gemini.generate_content": "contents"}


def start(content: ContentLevel = "metadata", **fields: Any) -> SessionStart:
    """The beginning of a session whose root is ROOT."""
    return msgspec.structs.replace(
        SessionStart(
            session="s1",
            ts=1,
            host="host",
            boot="boot",
            kernel="6.1.0",
            process=ROOT,
            argv=("agent",),
            cwd="/repo",
            origin="run",
            wall_offset=0,
            content=content,
        ),
        **fields,
    )


class Talk:
    """A pipeline and a connection on which an agent and its model talk; time goes on with each message."""

    def __init__(
        self,
        content: ContentLevel = "metadata",
        api: Wire = "openai.chat",
        files: dict[str, FileLook | None] | None = None,
        streamed: bool = False,
        tests: Sequence[tuple[str, FileLook]] = (),
        **fields: Any,
    ) -> None:
        self.api: Wire = api
        self.streamed = streamed
        self.session: str = fields.get("session", "s1")
        self.looked: list[tuple[str, str]] = []
        self._files = files or {}
        self.pipeline = SessionPipeline(
            start(content, **fields), HOST_KEY, self._look, lambda _process: list(tests)
        )
        self.ts = 10
        self._turn = 0
        self._offsets: dict[tuple[ConnectionKey, Direction], int] = {}
        self._history: list[Json] = []

    def _look(self, process: str, path: str) -> FileLook | None:
        self.looked.append((process, path))
        return self._files.get(path)

    def bytes(self, way: Direction, data: bytes, key: ConnectionKey = KEY, missing: int = 0) -> None:
        """Plaintext, in one record."""
        self.ts += 1
        offset = self._offsets.get((key, way), 0) + missing
        self._offsets[key, way] = offset + len(data)
        self.pipeline.chunk(Chunk(key, way, offset, data, self.ts, missing))

    def effect(self, kind: type[Event], **fields: Any) -> None:
        """Something that the kernel saw."""
        self.ts += 1
        self.pipeline.effect(kind(session=self.session, ts=self.ts, **fields))  # type: ignore[arg-type]

    def asks(self, text: str) -> None:
        """What the user says before the next answer (Chat Completions)."""
        self._history.append({"role": "user", "content": text})

    def says(self, said: Answer, key: ConnectionKey = KEY, status: int = 200) -> list[str]:
        """The model is asked, with all that was said before, and answers: the ids of its calls."""
        self._turn += 1
        asked = question(self.api, self.streamed)
        field = HISTORY.get(self.api, "messages")
        first = asked[field]
        opening = first if isinstance(first, list) else [{"role": "user", "content": first}]
        asked[field] = [*opening, *self._history]
        self.bytes("sent", ask(PATHS[self.api], asked), key)
        if status != 200:
            self.bytes("received", answer({"error": {"message": "slow down"}}, status), key)
            return []
        turn = str(self._turn)
        whole = body(self.api, said, asked, turn)
        if self.streamed:
            self.bytes("received", stream(streamed_answer(self.api, said, turn), api=self.api), key)
        else:
            self.bytes("received", answer(whole), key)
        self._history += repeated(self.api, whole)
        return [_id(self.api, turn, number) for number in range(len(said.calls))]

    def results(self, texts: Iterable[tuple[str, str]], key: ConnectionKey = KEY) -> None:
        """The results that the next request carries, (call id, text) each."""
        self._history += results(self.api, list(texts))

    def works(self, call: ToolCall, result: str, text: str = "") -> str:
        """One call, and its result with the next thing that is said: the call's id."""
        (ident,) = self.says(Answer(text=text, calls=(call,)))
        self.results([(ident, result)])
        return ident

    def tick(self) -> list[AnyEvent]:
        """The log since the last tick."""
        return self.pipeline.tick(self.ts)

    def log(self) -> list[AnyEvent]:
        """The rest of the log, the session over."""
        self.ts += 1
        self.pipeline.finish(self.ts)
        return self.tick()


def encoded(events: Iterable[AnyEvent]) -> bytes:
    """A log as it is stored, an event a line."""
    return b"\n".join(map(msgspec.json.encode, events))


def _id(api: Wire, turn: str, number: int) -> str:
    return f"{'toolu' if api == 'anthropic.messages' else 'call'}_{turn}_{number}"


def repeated(api: Wire, whole: Json) -> list[Json]:
    """An answer as the client sends it back with each later request."""
    if api == "anthropic.messages":
        return [{"role": "assistant", "content": whole["content"]}]
    if api == "openai.chat":
        return [whole["choices"][0]["message"]]
    if api == "gemini.generate_content":
        return [whole["candidates"][0]["content"]]
    if api == "bedrock.converse":
        return [whole["output"]["message"]]
    if api in ("ollama.chat", "cohere.chat"):
        return [whole["message"]]
    return list(whole["output"])


def results(api: Wire, given: list[tuple[str, str]]) -> list[Json]:
    if api == "anthropic.messages":
        parts = [{"type": "tool_result", "tool_use_id": ident, "content": text} for ident, text in given]
        return [{"role": "user", "content": parts}]
    if api == "openai.responses":
        return [{"type": "function_call_output", "call_id": ident, "output": text} for ident, text in given]
    if api == "gemini.generate_content":
        told = [{"id": ident, "name": "bash", "response": {"output": text}} for ident, text in given]
        return [{"role": "user", "parts": [{"functionResponse": result} for result in told]}]
    if api == "bedrock.converse":
        blocks = [{"toolUseId": ident, "content": [{"text": text}]} for ident, text in given]
        return [{"role": "user", "content": [{"toolResult": block} for block in blocks]}]
    return [{"role": "tool", "tool_call_id": ident, "content": text} for ident, text in given]
