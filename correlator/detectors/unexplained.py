"""Effects without intent: what nobody asked for, named, or takes for granted.

An effect of a dangerous kind is explained by whoever named it before: the user, the system prompt, the repository's
configuration, the model in its words or in the arguments of a tool call; by the agent's housekeeping; or by what is
taken for granted of the program that did it. What is left is a finding. It rests on the absence of all these, so it
needs that they would have been seen: whole coverage since the beginning, and no mention lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from correlator.detectors import effects
from correlator.detectors.effects import Danger
from correlator.facts import fact
from correlator.mentions import TRUSTED
from correlator.programs import program_name
from correlator.session import Session
from correlator.trust import is_near
from polygraph import events as e
from polygraph.findings import Finding
from polygraph.ids import derived_id
from polygraph.reasons import Dimension
from polygraph.verdicts import Evidence, Window

NAME = "unexplained_effect"
#: effects that wait for what was asked for to be known; more of them are not spoken of
MAX_WAITING = 16_384
#: findings of one session, and effects that one of them shows
MAX_FINDINGS = 256
_SHOWN = 5
_RESULTS_EXPLAIN = frozenset({"unknown_host", "outside_write"})


@dataclass(slots=True)
class _Group:
    """Effects of one kind on one thing, by one command."""

    first: Danger
    opened: int
    shown: list[Danger] = field(default_factory=list)
    count: int = 0
    last: int = 0


class UnexplainedEffects:
    """See the head of the module."""

    def __init__(self) -> None:
        self._waiting: deque[Danger] = deque()
        #: writes of which it is not known whether the file stays
        self._at_the_end: list[Danger] = []
        self._last = -1
        self._hosts = effects.Hosts()
        self._groups: dict[tuple[str, ...], _Group] = {}

    def see(self, session: Session, event: e.AnyEvent) -> None:
        """Keeps what may have to be explained."""
        self._hosts.see(event)
        danger = effects.danger_of(session, event)
        if danger is None or event.seq <= self._last:
            return  # a log may deliver an event twice
        self._last = event.seq
        if len(self._waiting) + len(self._at_the_end) < MAX_WAITING:
            self._waiting.append(danger)

    def due(self, session: Session, now: int, *, final: bool) -> Iterable[Finding]:  # noqa: ARG002
        """What stands unexplained when the conversation has gone on."""
        changed: dict[tuple[str, ...], _Group] = {}
        for danger in self._ready(session, final=final):
            if self._is_explained(session, danger):
                continue
            key: tuple[str, ...] = (danger.kind, danger.row, session.top_of(danger.event.process))
            if key in self._groups or len(self._groups) < MAX_FINDINGS:
                changed[key] = self._join(session, key, danger)
        for key, group in changed.items():
            yield _finding(session, key, group)

    def _ready(self, session: Session, *, final: bool) -> Iterator[Danger]:
        """Effects of which it is known what was asked for. Each is looked at twice at most."""
        while self._waiting and (final or session.graph.settled(self._waiting[0].event.ts)):
            danger = self._waiting.popleft()
            if final or danger.kind != "outside_write" or _is_over(session, danger):
                yield danger
            else:
                self._at_the_end.append(danger)
        if final:
            yield from self._at_the_end
            self._at_the_end.clear()

    def _join(self, session: Session, key: tuple[str, ...], danger: Danger) -> _Group:
        group = self._groups.get(key)
        if group is None:
            intent = session.graph.of(danger.event).intent
            ts = danger.event.ts
            opened = min(session.intents[intent].intent.ts, ts) if intent is not None else ts
            group = self._groups[key] = _Group(danger, opened)
        group.count += 1
        group.last = max(group.last, danger.event.ts)
        if len(group.shown) < _SHOWN:
            group.shown.append(danger)
        return group

    # --- what explains it ----------------------------------------------------------------------------

    def _is_explained(self, session: Session, danger: Danger) -> bool:
        event = danger.event
        ts = event.ts
        if session.startup_end is None or ts <= session.startup_end:
            return True  # nobody had said anything: it is the agent's start
        belongs = session.graph.of(event)
        if belongs.cause == "housekeeping" or (belongs.named and danger.kind != "observer_tampering"):
            return True
        dimensions: tuple[Dimension, ...] = ("process", "file", "network")
        if session.coverage.unexplained(dimensions, session.began, ts) is not None:
            return True  # it may have been explained by what was not seen
        if session.mentions.lost_at is not None and session.mentions.lost_at <= ts:
            return True
        match danger.kind:
            case "unknown_host":
                assert isinstance(event, e.Net | e.Name)
                return self._is_known_host(session, event)
            case "privilege":
                return effects.becomes_root_openly(session, belongs.intent) or _named(session, danger)
            case "credential_read":
                assert isinstance(event, e.File)
                return (
                    effects.in_project(session, event)
                    or effects.reads_its_own(session, event)
                    or effects.was_walked(session, event)
                    or _named(session, danger)
                )
            case "test_tampering":
                return (
                    effects.is_a_tools(session, event.process, ts)
                    or _by_git(session, danger)
                    or _named(session, danger)
                )
            case "observer_tampering":
                return _by_user(session, danger) or _is_polygraph(session, danger)
            case _:
                return (
                    effects.of_system_installer(session, event.process, ts)
                    or not effects.leaves_content(session, danger)
                    or _named(session, danger)
                    or (danger.kind == "outside_write" and _is_nothing(session, danger))
                )

    def _is_known_host(self, session: Session, event: e.Net | e.Name) -> bool:
        if session.is_agent(event.process, event.ts):
            return True  # its model, its telemetry, its updates: what it reaches of itself is no effect of a tool call
        hosts = self._hosts.of(event)
        if isinstance(event, e.Net):
            if is_near(event.address, private=True):
                return True
            unnamed = len(hosts) == 1
            if unnamed and (event.process in self._hosts.tls or not self._hosts.resolves):
                return True  # it has a name, which is not known
        if self._hosts.are_known(hosts) or effects.is_a_tools(session, event.process, event.ts):
            return True
        return effects.is_asked_for(effects.named_by(session, "host", hosts, event.ts), results=True)


def _is_polygraph(session: Session, danger: Danger) -> bool:
    """A polygraph that runs below the agent keeps records of its own."""
    images = effects.images_of(session, danger.event.process, danger.event.ts)
    return isinstance(danger.event, e.File) and any(
        program_name(image) == "polygraph"
        or ("-m", "polygraph") in zip(image.argv, image.argv[1:], strict=False)
        for image in images
    )


def _by_user(session: Session, danger: Danger) -> bool:
    """An open tool call is no excuse here: only who gave the agent its work may ask for it."""
    found = effects.named_by(session, "path", [danger.path], danger.event.ts) if danger.path else []
    return any(mention.origin in TRUSTED for mention in found)


def _is_over(session: Session, danger: Danger) -> bool:
    """Whether the call that the write belongs to had its result: what is there then stays."""
    intent = session.graph.of(danger.event).intent
    return intent is not None and session.intents[intent].result is not None


def _named(session: Session, danger: Danger) -> bool:
    if not danger.path:
        return False
    found = effects.named_by(session, "path", [danger.path], danger.event.ts)
    return effects.is_asked_for(found, results=danger.kind in _RESULTS_EXPLAIN)


def _by_git(session: Session, danger: Danger) -> bool:
    images = effects.images_of(session, danger.event.process, danger.event.ts)
    return any(program_name(image) in ("git", "hg", "jj") for image in images)


def _is_nothing(session: Session, danger: Danger) -> bool:
    """A write outside the workspace that says nothing: the agent's notes, a tool's work, what did not stay."""
    event = danger.event
    if session.is_agent(event.process, event.ts):
        return True
    if effects.is_a_tools(session, event.process, event.ts):
        return True
    intent = session.graph.of(event).intent
    result = session.intents[intent].result if intent is not None else None
    touches = [t for t in session.touches.get(danger.path, ()) if result is None or t.ts <= result.ts]
    return bool(touches) and max(touches, key=lambda t: (t.ts, t.event.seq)).gone


def _finding(session: Session, key: tuple[str, ...], group: _Group) -> Finding:
    more = f", and {group.count - 1} more of the kind" if group.count > 1 else ""
    figures = {"effects": float(group.count)}
    return Finding(
        id=derived_id("f", session.id, NAME, *key, group.first.event.id),
        session=session.id,
        ts=group.last,
        detector=NAME,
        kind=group.first.kind,
        summary=f"{group.first.says}{more}: {_NOBODY[group.first.kind]}",
        evidence=tuple(_evidence(session, group)),
        window=Window(open=group.opened, close=group.last),
        figures=figures,
    )


def _evidence(session: Session, group: _Group) -> Iterator[Evidence]:
    image = next(effects.images_of(session, group.first.event.process, group.first.event.ts), None)
    if image is not None and image is not group.first.event:
        yield fact(image)
    for danger in group.shown:
        yield fact(danger.event)


_NOBODY = {
    "credential_read": "no tool call and no word of the user names the file, and it is not the program's own",
    "persistence": "no tool call and no word of the user names it",
    "outside_write": "it lies outside the workspace, and nothing in the conversation names it",
    "unknown_host": "nothing in the conversation, the configuration or the known hosts names it",
    "privilege": "no tool call asks for another user",
    "test_tampering": "no tool call and no word of the user names it",
    "observer_tampering": "no word of the user asks for it",
}
