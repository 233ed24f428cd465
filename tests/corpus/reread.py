"""A recorded session as today's understanding of words has it: :func:`reread`. Pure.

A log holds the claims that were understood on the day of its recording. The record has the words too, so the
claims of the model are taken out of the log, and what the present extraction finds in the words is put in their
place: with the ids, times and order that the collector would give them. So it is with the claims in results of tool
calls, and with the files that a call declares, where the record has the very text. Everything else stays. Rereading
a log that the same extraction made changes nothing.

A look at a file that a claim speaks of cannot be made again: the record has what the files were at each answer.
Of a record that has not, the looks of its log for other claims and for tool calls are taken, if nothing changed the
file in between; what nobody looked at stays unknown, and so do the project's tests.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from collector.claims.results import from_result
from collector.claims.text import from_text, in_order, tells
from collector.file_states import FileLook, FileStates, FindTests, Look
from collector.intents.tools import IntentPlan, does_nothing, last_word, plan
from collector.telling import Telling
from polygraph import events as codec
from polygraph.events import (
    AnyEvent,
    Claim,
    ClaimTell,
    File,
    FileState,
    Intent,
    LlmCall,
    Mention,
    ProcessKey,
    SessionStart,
    StreamGap,
    ToolResult,
)
from polygraph.ids import keyed_digest
from polygraph.test_files import defined_in
from tests.corpus import sight
from tests.corpus.expand import Session
from tests.corpus.labels import labels, of_the_model, turns_of
from tests.corpus.place import KEY
from tests.corpus.records import Record

#: what the scripted agent is asked when the session says nothing else (tests/truth/agent.py)
_ASK = "Do the work."
#: what the collector tells of an answer before the claims in it
_OF_AN_ANSWER = (StreamGap, Mention, Intent)
#: what the collector tells of a result before the claims in it
_OF_A_RESULT = (Mention, FileState)
#: what makes of a name another file, or of a file another content
_CHANGES = frozenset(("create", "write", "truncate", "unlink", "rename", "link", "symlink"))


def reread(record: Record, session: Session) -> tuple[Record, list[str]]:
    """The record with the claims that are understood now, and those of them that the corpus has no label for.

    Raises ValueError where the record is not of the session as it is defined.
    """
    if record.digest != session.digest:
        raise ValueError(f"{record.session} was recorded when it was another: record it again")
    log = _with_claims(record, session.files, list(record.events()))
    found, unknown = labels(session, log)
    raw = tuple(msgspec.Raw(codec.encode(event)) for event in log)
    return msgspec.structs.replace(record, labels=found, log=raw), unknown


def _with_claims(record: Record, files: Mapping[str, str], log: Sequence[AnyEvent]) -> list[AnyEvent]:
    claims = _Claims(record, files, log)
    calls = _Calls(record, log)
    turns = turns_of(log)
    old = {
        event.claim
        for event in log
        if isinstance(event, Claim) and (of_the_model(event) or event.intent in calls.reread)
    }
    whole: list[AnyEvent] = []
    waiting: list[AnyEvent] = []  # claims of an answer, until all else that is told of it was told
    of_a_result: list[Claim] = []  # and of a result
    for event in log:
        if (
            event.claim if isinstance(event, Claim) else isinstance(event, FileState) and event.intent
        ) in old:
            continue
        if of_a_result and not (
            isinstance(event, _OF_A_RESULT)
            and event.intent == of_a_result[0].intent
            and event.ts == of_a_result[0].ts
        ):
            whole += of_a_result
            of_a_result = []
        if waiting and not (isinstance(event, _OF_AN_ANSWER) and event.ts == waiting[0].ts):
            whole += waiting
            waiting = []
        whole.append(calls.declared(event) if isinstance(event, Intent) else event)
        claims.saw(event)
        turn = turns.get(event.call) if isinstance(event, LlmCall) else None
        if isinstance(event, LlmCall) and turn is not None and event.fate == "answered" and event.complete:
            waiting = list(claims.of_answer(event, turn))
        elif isinstance(event, ToolResult):
            of_a_result = list(calls.of_result(event))
    told = (*whole, *of_a_result, *waiting)
    return [msgspec.structs.replace(event, seq=seq) for seq, event in enumerate(told)]


def _asked(record: Record, turn: int) -> frozenset[ClaimTell]:
    """What the agents had been asked by that turn speaks of: the user's request, and prompts of sub-agents."""
    prompts = [
        str(call.input["prompt"])
        for said in record.transcript[:turn]
        for call in said.calls
        if call.tool == "task"
    ]
    return frozenset().union(*(tells(text, asked=True) for text in (_ASK, *prompts)))


class _Calls:
    """The tool calls of one session of which the record has what was asked for and the very text that came back."""

    def __init__(self, record: Record, log: Sequence[AnyEvent]) -> None:
        start = next(event for event in log if isinstance(event, SessionStart))
        self._session = start.session
        self._telling = Telling(start.content, KEY)
        made = {call.id: call for said in record.transcript for call in said.calls}
        asked = {event.intent: event for event in log if isinstance(event, Intent)}
        ids = Counter(event.call_id for event in asked.values())
        self._plans: dict[str, IntentPlan] = {}
        #: the results of these, by the id of the intent
        self.reread: dict[str, tuple[Intent, str]] = {}
        for event in asked.values():
            call = made.get(event.call_id)
            if call is not None and ids[event.call_id] == 1 and event.tool == call.tool:
                self._plans[event.intent] = plan(call.tool, msgspec.json.encode(call.input).decode())
        for event in log:
            if isinstance(event, ToolResult) and event.intent in self._plans:
                intent = asked[event.intent]
                text = made[intent.call_id].result
                if self._telling.digest(text.encode()) == event.digest:
                    self.reread[event.intent] = (intent, text)

    def declared(self, intent: Intent) -> Intent:
        """The call with the files that it declares by what is understood of it now."""
        made = self._plans.get(intent.intent)
        if made is None:
            return intent
        return msgspec.structs.replace(intent, files=tuple(map(self._telling.expected, made.files)))

    def of_result(self, result: ToolResult) -> Iterator[Claim]:
        """What the text of the result claims, as collector/pipeline.py tells it."""
        intent, text = self.reread.get(result.intent, (None, ""))
        if intent is None:
            return
        for draft in from_result(self._plans[intent.intent], text, result.is_error).claims:
            yield self._telling.claim(
                draft, self._session, result.call, result.ts, result.process, intent=intent
            )


class _Claims:
    """The claims of one session's answers, as collector/pipeline.py tells them."""

    def __init__(self, record: Record, files: Mapping[str, str], log: Sequence[AnyEvent]) -> None:
        start = next(event for event in log if isinstance(event, SessionStart))
        self._session = start.session
        self._telling = Telling(start.content, KEY)
        self._record = record
        self._looks = _Looks(record, files, start.cwd, log)
        self._said: set[str] = set()
        #: tool calls that were to change files, with their names for these; and those that were looked at since
        self._to_change: dict[str, set[str]] = {}
        self._changed: dict[str, None] = {}

    def saw(self, event: AnyEvent) -> None:
        """What else is told, in the order of the log: of tool calls, and of looks at what they should have changed."""
        if isinstance(event, Intent):
            files = (file for file in event.files if file.op != "read")
            self._to_change[event.intent] = {file.new_path or file.path for file in files}
        elif isinstance(event, FileState) and event.path in self._to_change.get(event.intent, ()):
            self._changed.pop(event.path, None)
            self._changed[event.path] = None

    def of_answer(self, call: LlmCall, turn: int) -> Iterator[Claim | FileState]:
        """What the answer of ``call`` claims, and the looks at files that belong to it."""
        said, asked = self._record.transcript[turn], _asked(self._record, turn)
        made = [(one.tool, msgspec.json.encode(one.input).decode()) for one in said.calls]
        acting = not all(does_nothing(*one) for one in made)
        files = FileStates(self._session, _Recalled("metadata", KEY), *self._looks.at(turn, call.ts))
        for path in self._changed:
            files.changed(path)
        for text in (said.text, *(last_word(*one) for one in made)):
            for draft in from_text(text, acting=acting):
                told = in_order(asked.union(draft.tells))
                claim = self._telling.claim(
                    draft, self._session, call.call, call.ts, call.process, tells=told
                )
                if claim.claim in self._said:
                    continue
                self._said.add(claim.claim)
                yield claim
                yield from files.of_claim(claim.claim, draft, told, call.process, call.ts)


class _Recalled(Telling):
    """Digests of contents of which nothing but the digest is known: that stands in a look for the content."""

    def digest(self, content: bytes) -> str:
        """As it was recorded."""
        return content.decode()


class _Looks:
    """What the project's files were at an answer: what the record saw, or else what looks of the log tell."""

    def __init__(self, record: Record, files: Mapping[str, str], cwd: str, log: Iterable[AnyEvent]) -> None:
        self._cwd = cwd
        #: how many tests the contents define that the session begins with, by digest: older records have not counted
        self._defined = {
            keyed_digest(KEY, text.encode()): defined_in(path, text.encode()) for path, text in files.items()
        }
        self._seen = [{file.path: file for file in seen.files} for seen in record.seen]
        self._tests = [seen.tests for seen in record.seen]
        self._states: dict[str, list[FileState]] = {}
        self._changes: dict[str, list[int]] = {}
        for event in log if not record.seen else ():
            if isinstance(event, FileState):
                self._states.setdefault(self._absolute(event.path), []).append(event)
            elif isinstance(event, File) and event.op in _CHANGES and not event.errno:
                for path in filter(None, (event.path, event.new_path)):
                    self._changes.setdefault(path, []).append(event.ts)

    def at(self, turn: int, ts: int) -> tuple[Look, FindTests]:
        """As :class:`~collector.file_states.FileStates` asks for them."""

        def look(_process: ProcessKey, path: str) -> FileLook | None:
            return self._look(self._absolute(path), turn, ts)

        def tests(_process: ProcessKey) -> list[tuple[str, FileLook]]:
            found = self._tests[turn] if self._seen else ()
            looks = ((path, self._look(path, turn, ts)) for path in found)
            # a test of the project is not opened for a search
            return [(path, one._replace(content=None, tests=0)) for path, one in looks if one is not None]

        return look, tests

    def _look(self, path: str, turn: int, ts: int) -> FileLook | None:
        if not self._seen:
            state = self._state(path, ts)
            if state is None:
                return None
            content = state.digest.encode() if state.digest is not None else None
            return FileLook(state.exists, state.size, state.mtime, state.dev, state.ino, content)
        seen = self._seen[turn]
        if not path.startswith(tuple(f"{root}/" for root in sight.ROOTS)):
            return None
        file = seen.get(path) or seen.get(f"{path}/")
        if file is None:
            return FileLook(exists=False)
        names = tuple(
            name
            for other in seen
            if path.endswith("/") and other.startswith(path)
            if (name := other.removeprefix(path)) and "/" not in name and not name.startswith(".")
        )
        content = file.digest.encode() if file.digest is not None else None
        defined = file.tests or self._defined.get(file.digest or "", 0)
        return FileLook(True, file.size, file.mtime, file.dev, file.ino, content, names, defined)

    def _state(self, path: str, ts: int) -> FileState | None:
        """The look that is nearest in time, if nothing changed the file between it and ``ts``."""
        changes = self._changes.get(path, ())
        states = [
            state
            for state in self._states.get(path, ())
            if not any(min(state.ts, ts) < change <= max(state.ts, ts) for change in changes)
        ]
        return min(states, key=lambda state: abs(state.ts - ts), default=None)

    def _absolute(self, path: str) -> str:
        folder = path.endswith("/")
        return posixpath.normpath(posixpath.join(self._cwd, path)) + "/" * folder
