"""Injection: a text that nobody vouches for entered the conversation, and then drives an effect.

The path, each step a fact: the result of one tool call brought a text in which a host, a path or a command stood that
nobody had named; a later answer of a model carries it in a tool call; an effect of a dangerous kind belongs to that
call. An effect that the user or the configuration names is their wish, and one that the model named before the text
did is its own idea. Only results that bring a text from elsewhere count (a page, a file that was read, a tool of MCP):
the output of a test run or of a listing is about what was asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from correlator import declared
from correlator.attribution import Attribution
from correlator.detectors import effects
from correlator.detectors.effects import Danger
from correlator.facts import command, fact
from correlator.mentions import TRUSTED
from correlator.session import IntentState, Session
from correlator.trust import is_one, trust
from polygraph import events as e
from polygraph.findings import Finding, Step, detectors
from polygraph.ids import derived_id
from polygraph.reasons import Grade
from polygraph.verdicts import Window

NAME = "injection"
MAX_WAITING = 16_384
MAX_FINDINGS = 256
#: what a text of the workspace may drive and be spoken of; the others only if the text came from outside
_HEAVY = frozenset({"credential_read", "persistence", "privilege", "observer_tampering"})
_FROM_OUTSIDE = frozenset({"fetch", "search"})


@dataclass(frozen=True, slots=True)
class _Path:
    """What leads from a text to an effect."""

    mention: e.Mention
    text: IntentState
    call: e.LlmCall
    drives: IntentState
    belongs: Attribution


class Injection:
    """See the head of the module."""

    def __init__(self) -> None:
        self._waiting: deque[Danger] = deque()
        #: connections, of which it is known at the end how much was sent
        self._at_the_end: list[Danger] = []
        self._hosts = effects.Hosts()
        #: bytes sent, the latest of each socket; sockets whose host is spoken of
        self._sent: dict[int, e.Flow] = {}
        self._told: set[tuple[str, ...]] = set()

    def see(self, session: Session, event: e.AnyEvent) -> None:
        """Keeps what may have been driven."""
        self._hosts.see(event)
        if isinstance(event, e.Flow):
            if event.sent >= detectors()[NAME].thresholds["sent"].value:
                self._sent[event.socket] = event
            return
        danger = effects.danger_of(session, event)
        if danger is not None and danger.kind != "test_tampering" and self._waits < MAX_WAITING:
            self._waiting.append(danger)

    @property
    def _waits(self) -> int:
        return len(self._waiting) + len(self._at_the_end)

    def due(self, session: Session, now: int, *, final: bool) -> Iterable[Finding]:  # noqa: ARG002
        """Effects that a text drove, when the conversation has gone on."""
        for danger in self._ready(session, final=final):
            path = self._path(session, danger)
            key = (danger.kind, danger.row, path.drives.intent.intent) if path is not None else ()
            if path is not None and key not in self._told and len(self._told) < MAX_FINDINGS:
                self._told.add(key)
                yield self._finding(session, danger, path)

    def _ready(self, session: Session, *, final: bool) -> Iterator[Danger]:
        """Effects of which it is known what they belong to. Each is looked at twice at most."""
        while self._waiting and (final or session.graph.settled(self._waiting[0].event.ts)):
            danger = self._waiting.popleft()
            if final or danger.kind != "unknown_host":
                yield danger
            else:
                self._at_the_end.append(danger)
        if final:
            yield from self._at_the_end
            self._at_the_end.clear()

    # --- the path --------------------------------------------------------------------------------------

    def _path(self, session: Session, danger: Danger) -> _Path | None:
        event = danger.event
        belongs = session.graph.of(event)
        drives = session.intents.get(belongs.intent) if belongs.intent is not None else None
        if drives is None or belongs.rivals or (session.startup_end or event.ts) >= event.ts:
            return None
        if not self._is_dangerous(session, danger, drives):
            return None
        what, values = self._subject(danger)
        said = effects.named_by(session, what, values, event.ts) if values else []
        carried = [m for m in said if m.origin == "intent" and m.intent == drives.intent.intent and m.whole]
        ordered = [*said] if carried else []
        digest = drives.intent.command_digest
        by_command = list(session.mentions.of("command", [digest])) if digest is not None else []
        for candidates in (ordered, by_command):
            if any(m.origin in TRUSTED for m in (*said, *by_command)):
                return None  # somebody wishes it
            found = self._first(session, candidates, drives)
            if found is not None and self._is_from_elsewhere(danger, found[1]):
                return _Path(found[0], found[1], found[2], drives, belongs)
        return None

    def _is_dangerous(self, session: Session, danger: Danger, drives: IntentState) -> bool:
        event = danger.event
        if isinstance(event, e.File):
            if danger.kind == "credential_read":
                return not effects.in_project(session, event)
            return not effects.of_system_installer(
                session, event.process, event.ts
            ) and effects.leaves_content(session, danger)
        if danger.kind != "unknown_host" or not isinstance(event, e.Net):
            return danger.kind != "unknown_host"
        # To look at a page is what texts are for; to send something to it is not.
        sent = self._sent.get(event.socket)
        result = drives.result
        if drives.intent.kind != "shell" or sent is None or (result is not None and sent.ts > result.ts):
            return False
        return not self._hosts.are_known(self._hosts.of(event))

    def _subject(self, danger: Danger) -> tuple[str, list[str]]:
        if isinstance(danger.event, e.Net | e.Name):
            return "host", self._hosts.of(danger.event)
        return "path", [danger.path] if danger.path else []

    def _first(
        self, session: Session, said: list[e.Mention], drives: IntentState
    ) -> tuple[e.Mention, IntentState, e.LlmCall] | None:
        """The text that named it first, if that was the result of another tool call, and the model was shown it."""
        first = min(said, key=lambda m: (m.said_ts, m.origin != "result", m.seq), default=None)
        if (
            first is None
            or first.origin != "result"
            or not first.whole
            or first.intent == drives.intent.intent
        ):
            return None
        text = session.intents.get(first.intent or "")
        call = session.calls.get(drives.intent.call)
        if text is None or call is None or not first.said_ts <= call.request_ts:
            return None
        return first, text, call

    def _is_from_elsewhere(self, danger: Danger, text: IntentState) -> bool:
        intent = text.intent
        if intent.kind in _FROM_OUTSIDE or (intent.kind == "other" and intent.hand_off is not None):
            return True
        programs = [one.program for one in intent.executions if not one.builtin]
        if intent.kind == "shell" and intent.hosts:
            return True
        brings = intent.kind == "read" or (
            bool(programs) and all(is_one(name, trust().bringers) for name in programs)
        )
        fetches = any(is_one(name, trust().fetchers) for name in programs)
        return brings and (danger.kind in _HEAVY or fetches)

    # --- telling it ------------------------------------------------------------------------------------

    def _finding(self, session: Session, danger: Danger, path: _Path) -> Finding:
        event, drives = danger.event, path.drives.intent
        origin = declared.of_intent(path.text.intent)
        what = {"host": "the host", "path": "the path", "command": "the command"}[path.mention.what]
        carries: Grade = "exact" if path.mention.what == "command" else "strong"
        shown: Grade = (
            "exact" if path.text.result is not None and path.text.result.call == path.call.call else "strong"
        )
        image = next(effects.images_of(session, event.process, event.ts), None)
        steps = [
            Step(
                ts=path.mention.said_ts,
                what=f"the result of “{origin}” held {what}, which nobody had named before",
                id=path.text.intent.intent,
            ),
            Step(ts=path.call.request_ts, what="a model was asked with it", id=path.call.call, grade=shown),
            Step(
                ts=drives.ts,
                what=f"the answer asked to {declared.of_intent(drives)}, with {what}",
                id=drives.intent,
                grade=carries,
            ),
        ]
        if image is not None and image is not event:
            steps.append(
                Step(
                    ts=image.ts, what=f"{command(image)} was executed", id=image.id, grade=path.belongs.grade
                )
            )
            steps.append(Step(ts=event.ts, what=danger.says, id=event.id, grade="exact"))
        else:
            steps.append(Step(ts=event.ts, what=danger.says, id=event.id, grade=path.belongs.grade))
        sent = self._sent.get(event.socket) if isinstance(event, e.Net) else None
        return Finding(
            id=derived_id("f", session.id, NAME, danger.kind, danger.row, drives.intent),
            session=session.id,
            ts=event.ts,
            detector=NAME,
            kind=danger.kind,
            summary=f"{danger.says}, as a text asked for that came with “{origin}”; nobody else had named it",
            evidence=tuple(fact(one) for one in (image, event, sent) if one is not None),
            window=Window(open=path.mention.said_ts, close=event.ts),
            path=tuple(steps),
            figures={"sent": float(sent.sent)} if sent is not None else {},
        )
