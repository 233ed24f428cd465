"""From effects and plaintext to the log: one :class:`SessionPipeline` per session.

Pure: what it needs of the world comes in as arguments; ids, digests and order are functions of the input. Which files
are looked at is decided in collector/file_states.py.

Order. Events are numbered as they are appended. What the agent says is stamped with the time of the record
that completed the message, so it sorts among the effects; :meth:`SessionPipeline.tick` closes a round.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from collector.bounded import put
from collector.claims.model import ClaimDraft
from collector.claims.opinion import Ask, Question, about
from collector.claims.results import from_result
from collector.claims.text import edit_blocks, from_text, in_order, tells
from collector.conversations import LAST_RESULTS, MAX_CALLS, Conversations
from collector.file_states import FileStates, FindTests, Look, no_tests
from collector.intents.tools import ExpectedFileDraft, IntentPlan, does_nothing, last_word, plan
from collector.llm.answers import Answers
from collector.llm.attempts import Attempts
from collector.llm.model import ToolCall, ToolResultItem
from collector.llm.seen import LlmEvent, RequestSeen, ResponseSeen
from collector.llm.values import dumps, loads
from collector.mcp.stdio import Stream
from collector.mentions import Mentions
from collector.plain.streams import PlainChunk, PlainConnection
from collector.spoken import Followed, Spoken
from collector.subjects import mentions_of
from collector.telling import Telling, note
from collector.tls.streams import Chunk, ConnectionKey
from polygraph.events import (
    AnyEvent,
    BlindSpot,
    ClaimTell,
    File,
    Intent,
    LlmCall,
    Name,
    Net,
    ProcessKey,
    SessionStart,
    StreamGap,
    Tick,
    ToolResult,
)
from polygraph.ids import derived_id

#: most connections of a session that are followed at once; the oldest is given up beyond it
MAX_CONNECTIONS = 512
#: bytes of unfinished messages that a session's connections hold; the one that holds most is given up beyond it
MAX_HELD = 256 << 20
#: most tool calls of a session that wait for their result, and characters of their arguments; the oldest go first
MAX_PENDING = 4096
MAX_PENDING_SIZE = 64 << 20
#: most ids of calls and claims that are remembered in order to say nothing twice; the oldest go first
MAX_SAID = 65_536


class Container(NamedTuple):
    """A container that a server made for ``process``, and the socket over which it said so."""

    process: ProcessKey
    socket: int
    id: str


class _Pending(NamedTuple):
    intent: Intent
    plan: IntentPlan
    size: int


class _Asked(NamedTuple):
    """What a call brought that was new, as it is told."""

    follows: str = ""
    size: int = 0
    signature: str = ""
    #: of the last tool calls of which the request has results
    answered: frozenset[str] = frozenset()


class SessionPipeline:
    """Builds the log of one session."""

    def __init__(
        self,
        start: SessionStart,
        key: bytes,
        look: Look,
        find_tests: FindTests = no_tests,
        *,
        home: str = "",
        configuration: Iterable[bytes] = (),
        ask: Ask | None = None,
    ) -> None:
        """``home``: what ``~`` means to the root process. ``configuration``: files that configure the repository.

        ``ask`` gets what the model says and the rules do not understand; :meth:`guessed` what comes of that.
        """
        self._session = start.session
        self._telling = Telling(start.content, key)
        self._files = FileStates(start.session, self._telling, look, find_tests)
        self._workspace = start.cwd
        self._listens = start.content != "off"
        self._ask = ask if self._listens else None
        self._mentions = Mentions(start.session, home)
        self._connections: dict[ConnectionKey, Followed] = {}
        self._spoken = Spoken(start.session, self._telling.digest, self._telling.name, self._telling.ident)
        self._answers = Answers()
        self._attempts = Attempts()
        self._conversations = Conversations()
        self._asked: OrderedDict[str, _Asked] = OrderedDict()
        self._pending: dict[str, _Pending] = {}
        self._pending_size = 0
        self._held: dict[ConnectionKey, int] = {}
        self._held_size = 0
        self._answered: OrderedDict[str, None] = OrderedDict()
        #: what the first tool call of an id asks for; ids that another one has too
        self._meant: OrderedDict[str, bytes] = OrderedDict()
        self._ambiguous: OrderedDict[str, None] = OrderedDict()
        self._said: OrderedDict[str, None] = OrderedDict()
        #: what the user's requests speak of, and the last of them
        self._wanted: frozenset[ClaimTell] = frozenset()
        self._request = ""
        #: the conversation is an earlier one, gone on with
        self._continued = False
        self._created: list[Container] = []
        self._log: list[AnyEvent] = []
        self._next_seq = 0
        self._add(self._telling.start(start))
        for file in configuration:
            self._log += self._mentions.text(file.decode("utf-8", "replace"), "configuration", start.ts)

    # --- input -----------------------------------------------------------------------------------

    def effect(self, event: AnyEvent) -> None:
        """An effect, coverage or loss event from the kernel side, its ``session`` set."""
        told = self._telling.effect(event)
        self._add(told)
        if self._listens and isinstance(event, File | Name | Net):
            self._log += mentions_of(event, told, self._mentions, self._workspace)

    def chunk(self, chunk: Chunk) -> None:
        """Plaintext of one direction of one connection."""
        followed = self._follow(chunk.connection, chunk.ts)
        self._feed(chunk.connection, followed, chunk)

    def plain(self, chunk: PlainChunk) -> bool | None:
        """The same of a connection without TLS: whether it is of interest; None: that is not known yet."""
        of = chunk.connection
        if of.json:
            stream = Stream(of.connection, of.generation, chunk.direction, of.standard_input)
            seen, speaks = self._spoken.stdio.feed(stream, chunk.data, chunk.ts, chunk.missing, chunk.process)
            self._log += self._spoken.events(seen)
            return speaks
        key = _key_of(of)
        followed = self._follow(key, chunk.ts, of)
        self._feed(key, followed, chunk)
        return True if followed.wanted else False if followed.left else None

    def _follow(self, key: ConnectionKey, ts: int, plain: PlainConnection | None = None) -> Followed:
        followed = self._connections.get(key)
        if followed is None:
            serves = plain is not None and plain.serves
            followed = Followed(
                key.process,
                self._answers,
                self._spoken.book,
                plain=plain is not None,
                serves=serves,
                socket=plain.socket if plain is not None else 0,
            )
            self._connections[key] = followed
            self._give_up_beyond_limit(ts)
        return followed

    def _feed(self, key: ConnectionKey, followed: Followed, chunk: Chunk | PlainChunk) -> None:
        for seen in followed.feed(chunk.direction, chunk.data, chunk.ts, chunk.missing):
            self._message(seen, key, followed)
        self._log += self._spoken.events(followed.taken(), followed.socket)
        for container in followed.created.taken():
            self._created.append(Container(key.process, followed.socket, container))
        self._hold(key, followed.llm.held)
        while self._held_size > MAX_HELD:
            self.closed(max(self._held, key=self._held.__getitem__), chunk.ts, over=False)

    def closed(self, connection: ConnectionKey, ts: int, *, over: bool = True) -> None:
        """The connection is over: what it still held is complete or lost. ``over`` False: it may go on unread."""
        known = self._connections.pop(connection, None)
        self._hold(connection, 0)
        if known is not None:
            for seen in known.llm.close(ts, over=over):
                self._message(seen, connection, known)
            self._log += self._spoken.events(known.closed(ts), known.socket)

    def plain_closed(self, connection: PlainConnection, ts: int) -> None:
        """The same, of a connection without TLS."""
        self.closed(_key_of(connection), ts)

    def take_created(self) -> list[Container]:
        """Containers that were made for the session since the last call."""
        created, self._created = self._created, []
        return created

    def finish(self, ts: int) -> None:
        """The session is over: closes connections, looks at the files of intents that had no result."""
        for connection in list(self._connections):
            self.closed(connection, ts, over=False)
        self._log += self._spoken.finish(ts)
        for pending in self._pending.values():
            self._file_states(pending, ts)
        self._pending.clear()
        self._pending_size = 0

    # --- output ----------------------------------------------------------------------------------

    def tick(self, ts: int) -> list[AnyEvent]:
        """The round's events in order of time, numbered, and a Tick at ``ts``. Empty if nothing happened.

        A record of several touches has the time of the last, which may be after ``ts``: the Tick stays where it is,
        since what is older than that record may still come.
        """
        if not self._log:
            return []
        self._log.sort(key=lambda event: event.ts)
        self._log.append(Tick(session=self._session, ts=ts))
        return self._take()

    def _take(self) -> list[AnyEvent]:
        numbered = [
            msgspec.structs.replace(event, seq=seq) for seq, event in enumerate(self._log, self._next_seq)
        ]
        self._next_seq += len(numbered)
        self._log = []
        return numbered

    def _add(self, event: AnyEvent) -> None:
        self._log.append(event)

    # --- what the agent says ---------------------------------------------------------------------

    def _message(self, seen: LlmEvent, connection: ConnectionKey, of: Followed) -> None:
        if not of.matters(seen):
            return
        if isinstance(seen, RequestSeen):
            self._history(seen, connection)
            if seen.request.user_text != self._request:
                self._request = seen.request.user_text
                self._wanted |= tells(self._request, asked=True)
                self._files.user_said(self._request)
            own = self._call_id(connection, seen.index)
            call = own if seen.prewarm else self._attempts.asked(own, seen).call
            for text in seen.request.told:
                self._log += self._mentions.text(text, "instructions", seen.ts, call=call)
            results = [
                result.text
                for result in seen.request.tool_results
                if self._tool_result(result, call, seen.ts, connection)
            ]
            if not seen.prewarm and call not in self._asked:  # else nothing is asked, or the same again
                self._new(seen, call, connection, results)
        elif isinstance(seen, ResponseSeen):
            self._response(seen, connection)
        elif seen.lasts:
            self._add(
                BlindSpot(
                    session=self._session,
                    ts=seen.ts,
                    dimension="tls",
                    name="unread_connection",
                    process=connection.process,
                    detail=f"it goes on with a connection that is not read any more ({seen.cause})",
                )
            )
        else:
            self._add(
                StreamGap(
                    session=self._session,
                    ts=seen.ts,
                    process=connection.process,
                    host=self._telling.name(seen.host),
                    cause=seen.cause,
                    missing_bytes=seen.missing,
                )
            )

    def _new(self, seen: RequestSeen, call: str, connection: ConnectionKey, results: list[str]) -> None:
        """What is new in a request, ``results`` among it, is remembered until its answer is told."""
        last = seen.request.tool_results[-LAST_RESULTS:]
        idents = [ident for one in last for ident in (self._telling.ident(one.call_id), one.made_id)]
        new = self._conversations.request(
            call,
            seen,
            connection.process,
            [ident for ident in idents if ident not in self._ambiguous],
            results,
        )
        told = _Asked(new.follows, new.size, self._telling.signature(*new.texts), frozenset(idents))
        put(self._asked, call, told, MAX_CALLS)

    def _call_id(self, connection: ConnectionKey, index: int) -> str:
        return derived_id(
            "c",
            self._session,
            connection.process,
            str(connection.ssl),
            f"{connection.generation}.{connection.life}" if connection.life else str(connection.generation),
            str(index),
        )

    def _response(self, seen: ResponseSeen, connection: ConnectionKey) -> None:
        own = self._call_id(connection, seen.index)
        call, attempt = self._attempts.over(own, seen)
        response = seen.response
        asked = self._asked.get(call, _Asked())
        if response is not None and response.response_id:
            self._conversations.answered(response.response_id, call)
        self._add(
            LlmCall(
                session=self._session,
                ts=seen.ts,
                call=call,
                process=connection.process,
                api=seen.api,
                host=self._telling.name(seen.host),
                request_ts=seen.request_ts,
                status=seen.status,
                streamed=seen.streamed,
                model=self._telling.name(response.model) if response else "",
                response_id=self._telling.name(response.response_id)
                if response and response.response_id
                else None,
                finish=self._telling.name(response.finish) if response and response.finish else None,
                input_tokens=response.usage.input if response else 0,
                output_tokens=response.usage.output if response else 0,
                cached_tokens=response.usage.cached if response else 0,
                request_bytes=seen.request_bytes,
                response_bytes=seen.response_bytes,
                complete=seen.complete,
                gap_bytes=seen.gap_bytes,
                traceparent=seen.traceparent,
                transport=seen.transport,
                fate=seen.fate,
                attempt=attempt,
                tls=connection.library,
                follows=asked.follows,
                new_bytes=asked.size,
                new_signature=asked.signature,
                answer_signature=self._telling.signature(response.text) if response else "",
            )
        )
        # An agent that got an error after a tool call, or a part of one, may not make it: that is no evidence.
        broken_off = (
            response is not None and response.tool_calls and (seen.fate != "answered" or response.cut_off)
        )
        if not seen.complete or broken_off:
            self._add(
                StreamGap(
                    session=self._session,
                    ts=seen.ts,
                    process=connection.process,
                    host=self._telling.name(seen.host),
                    cause="response_incomplete",
                    missing_bytes=seen.gap_bytes,
                )
            )
        if response is None:
            return
        self._log += self._mentions.text(response.text, "answer", seen.ts, call=call)
        for number, tool_call in enumerate(response.tool_calls):
            self._intent(tool_call, f"{own}#{number}", call, seen.ts, connection)
        for number, block in enumerate(edit_blocks(response.text)):
            self._edit_block(block, f"{own}#edit{number}", call, seen.ts, connection)
        if seen.fate != "answered" or not seen.complete or response.cut_off:
            return  # a sentence may break off before its "except": what has no end claims nothing
        acting = not all(does_nothing(made.name, made.arguments) for made in response.tool_calls)
        for text in (response.text, *(last_word(made.name, made.arguments) for made in response.tool_calls)):
            for draft in from_text(text, acting=acting):
                self._claim(draft, call, seen.ts, connection.process)
            if self._ask is not None and not acting:  # else what is said may be what is only about to be done
                unread = about(text, self._wanted, self._session, call, connection.process, seen.ts)
                if unread is not None:
                    self._ask(unread)

    def _intent(self, tool_call: ToolCall, place: str, call: str, ts: int, connection: ConnectionKey) -> None:
        call_id = self._telling.ident(tool_call.id) or place
        meant = _meaning(tool_call)
        if call_id in self._pending or call_id in self._answered:
            known = call_id in self._asked.get(call, _Asked()).answered
            if self._meant.get(call_id, meant) == meant and not known:
                return  # the same response seen again (a retry that was answered twice)
            # Some servers count from 0 in each conversation, or answer: whose a result is, its id does not tell.
            put(self._ambiguous, call_id, None, MAX_SAID)
            call_id = place
        put(self._meant, call_id, meant, MAX_SAID)
        made = plan(tool_call.name, tool_call.arguments)
        if tool_call.kind == "builtin":
            # The provider runs it: nothing of it is to be seen here, whatever a tool of that name does elsewhere.
            made = IntentPlan(made.kind if made.kind != "shell" else "other", hand_off="model provider")
        self._open(made, tool_call, call_id, call, ts, connection)

    def _edit_block(
        self, block: ExpectedFileDraft, place: str, call: str, ts: int, connection: ConnectionKey
    ) -> None:
        tool_call = ToolCall(id="", name="edit_block", arguments="", kind="custom")
        made = IntentPlan(kind="edit", files=(block,))
        self._open(made, tool_call, place, call, ts, connection)

    def _open(
        self,
        made: IntentPlan,
        tool_call: ToolCall,
        call_id: str,
        call: str,
        ts: int,
        connection: ConnectionKey,
    ) -> None:
        intent = Intent(
            session=self._session,
            ts=ts,
            intent=derived_id("i", self._session, call, call_id),
            call=call,
            process=connection.process,
            call_id=call_id,
            tool=self._telling.name(tool_call.name),
            kind=made.kind,
            digest=self._telling.digest(tool_call.arguments.encode()),
            signature=self._telling.signature(tool_call.arguments),
            executions=tuple(self._telling.execution(execution) for execution in made.executions),
            files=tuple(self._telling.expected(draft) for draft in made.files),
            hosts=tuple(map(self._telling.name, made.hosts)),
            command_digest=self._telling.digest(made.command.encode()) if made.command else None,
            parsed=made.parsed,
            parse_note=note(made.note) if made.note is not None else None,
            hand_off=note(made.hand_off) if made.hand_off is not None else None,
            background=made.background,
            text=self._telling.text(made.command or "") or self._telling.body(tool_call.arguments),
        )
        self._add(intent)
        self._log += self._mentions.arguments(tool_call.arguments, ts, intent.intent, call)
        if made.command and intent.command_digest is not None:
            self._log += self._mentions.command(made.command, intent.command_digest, ts, intent.intent)
        self._conversations.tool_call(call_id, call)
        size = len(tool_call.arguments)
        self._pending[call_id] = _Pending(intent, made, size)
        self._pending_size += size
        while len(self._pending) > MAX_PENDING or (
            self._pending_size > MAX_PENDING_SIZE and len(self._pending) > 1
        ):
            self._answer(next(iter(self._pending)))

    def _answer(self, call_id: str) -> _Pending | None:
        """The tool call that waits for its result under ``call_id``; it waits no more."""
        pending = self._pending.pop(call_id, None)
        if pending is not None:
            self._pending_size -= pending.size
        return pending

    def _history(self, seen: RequestSeen, connection: ConnectionKey) -> None:
        """A conversation that had tool calls before any was seen here began before this session."""
        request = seen.request
        goes_on = request.previous_response_id and not seen.follows
        earlier = request.tool_calls_in_history or request.tool_results or goes_on
        if self._continued or not earlier or self._pending or self._answered:
            return
        self._continued = True
        self._add(
            BlindSpot(
                session=self._session,
                ts=seen.ts,
                dimension="tls",
                name="earlier_conversation",
                process=connection.process,
            )
        )

    def _tool_result(self, result: ToolResultItem, call: str, ts: int, connection: ConnectionKey) -> bool:
        """Tells a result; False if that is nothing new."""
        call_id = self._telling.ident(result.call_id)
        if result.made_id in self._pending and call_id not in self._pending:
            call_id = result.made_id
        if call_id in self._ambiguous:
            return False
        pending = self._answer(call_id)
        if pending is None:
            # History of before this session, or a result sent again with each request: nothing new is said.
            return False
        put(self._answered, call_id, None, MAX_SAID)
        read = from_result(pending.plan, result.text, result.is_error)
        self._add(
            ToolResult(
                session=self._session,
                ts=ts,
                intent=pending.intent.intent,
                call_id=call_id,
                call=call,
                process=connection.process,
                digest=self._telling.digest(result.text.encode()),
                size=len(result.text),
                is_error=result.is_error,
                reported_status=result.exit_code if result.exit_code is not None else read.reported_status,
                text=self._telling.body(result.text),
            )
        )
        self._log += self._mentions.text(
            result.text, "result", ts, intent=pending.intent.intent, call=pending.intent.call
        )
        self._file_states(pending, ts)
        for draft in read.claims:
            self._claim(draft, call, ts, connection.process, pending.intent)
        return True

    def _claim(
        self,
        draft: ClaimDraft,
        call: str,
        ts: int,
        process: ProcessKey,
        intent: Intent | None = None,
        said_ts: int = 0,
    ) -> None:
        """A claim of the model, or, if there is one, of the result of ``intent``.

        ``said_ts`` is set of a guess, which comes too late for a look at the files that it names.
        """
        told = in_order(self._wanted.union(draft.tells)) if intent is None else ()
        claim = self._telling.claim(
            draft, self._session, call, ts, process, intent=intent, tells=told, said_ts=said_ts
        )
        if claim.claim in self._said:
            return
        put(self._said, claim.claim, None, MAX_SAID)
        self._add(claim)
        if intent is None and not said_ts:
            self._log += self._files.of_claim(claim.claim, draft, told, process, ts)

    def guessed(self, question: Question, claims: Iterable[ClaimDraft], ts: int) -> None:
        """Claims that a model read out of sentences that were asked about; ``ts``: not before the last Tick."""
        ts = max(ts, question.ts)
        for draft in claims:
            self._claim(draft, question.call, ts, question.process, said_ts=question.ts)

    # --- helpers ---------------------------------------------------------------------------------

    def _file_states(self, pending: _Pending, ts: int) -> None:
        intent = pending.intent
        self._log += self._files.of_intent(intent.intent, pending.plan.files, intent.process, ts)

    def _hold(self, connection: ConnectionKey, size: int) -> None:
        self._held_size += size - self._held.pop(connection, 0)
        if size:
            self._held[connection] = size

    def _give_up_beyond_limit(self, ts: int) -> None:
        if len(self._connections) > MAX_CONNECTIONS:
            self.closed(next(iter(self._connections)), ts, over=False)


def _key_of(connection: PlainConnection) -> ConnectionKey:
    return ConnectionKey(connection.process, connection.connection, connection.generation)


def _meaning(tool_call: ToolCall) -> bytes:
    """A digest of what a call asks for: a gateway may write its arguments in another order, and is no other call."""
    value = loads(tool_call.arguments.encode("utf-8", "surrogatepass"))
    written = None if value is None else dumps(value, sort_keys=True)
    told = json.dumps([tool_call.name, tool_call.arguments if written is None else written])
    return blake2b(told.encode(), digest_size=16).digest()
