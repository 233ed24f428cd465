"""The graph intent → effect → claim, in three columns: a small layered layout with one barycentre sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from console.report.model import Limits, Session
from console.report.timeline import outcome, program
from console.words import GLYPHS, command, counted, errno_name, words
from polygraph.events import AnyEvent, Exec, ExecFailed, Exit, File, FileState, Flow, Fork, Net
from polygraph.text import printable

NODE_WIDTH = 276
NODE_HEIGHT = 50
COLUMN = 418
_GAP = 16
#: characters that a box has room for
_TITLE = 34
_SUBTITLE = 42
_TOP = 34
WIDTH = 2 * COLUMN + NODE_WIDTH


@dataclass(slots=True)
class Node:
    """``kind``: intent, effect, ghost (nothing was seen) or claim; ``verdicts``: places, as text."""

    number: int
    column: int
    kind: str
    title: str
    subtitle: str
    style: str
    said: str
    href: str = ""
    mark: str = ""
    order: float = 0.0
    x: int = 0
    y: float = 0.0
    verdicts: set[int] = field(default_factory=set)
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)


class Edge(NamedTuple):
    """``path`` is SVG path data."""

    source: int
    target: int
    style: str
    ghost: bool
    path: str
    verdicts: str


class Graph(NamedTuple):
    nodes: list[Node]
    edges: list[Edge]
    width: int
    height: int
    drawn: int
    hidden: int


@dataclass(slots=True)
class _Builder:
    session: Session
    nodes: list[Node] = field(default_factory=list)
    by_key: dict[tuple[str, str], Node] = field(default_factory=dict)
    #: by (source, target): the verdicts that cite the link as their own evidence, and all that it serves
    links: dict[tuple[int, int], tuple[set[int], set[int]]] = field(default_factory=dict)

    def node(self, key: tuple[str, str], kind: str, title: str, subtitle: str, style: str = "") -> Node:
        found = self.by_key.get(key)
        column = {"intent": 0, "claim": 2}.get(kind, 1)
        if found is None:
            said = f"{kind}: {title}. {subtitle}" if subtitle else f"{kind}: {title}"
            found = Node(
                len(self.nodes),
                column,
                kind,
                printable(title, 34),
                printable(subtitle, 42),
                style,
                printable(said, 400),
            )
            self.nodes.append(found)
            self.by_key[key] = found
        return found

    def link(self, source: Node, target: Node, place: int, own: bool) -> None:
        """``own``: the link is what the verdict judges, and not only the way to it."""
        judged, served = self.links.setdefault((source.number, target.number), (set(), set()))
        served.add(place)
        if own:
            judged.add(place)


def graph(session: Session, limits: Limits) -> Graph:
    """Nodes and edges of the first ``limits.subjects`` verdicts in reading order (refuted first)."""
    build = _Builder(session)
    drawn = session.verdicts[: limits.subjects]
    for place in range(len(drawn)):
        subject = _subject(build, place)
        owner = _owner(build, place)
        effects = _effects(build, place, limits)
        if not effects:
            about = owner.number if owner is not None else subject.number
            effects = [_unseen(build, place, about)]
        for effect in effects:
            effect.verdicts.add(place)
            if subject.column == 0:
                build.link(subject, effect, place, own=True)
            else:
                build.link(effect, subject, place, own=True)
                if owner is not None:
                    build.link(owner, effect, place, own=False)
    _layout(build)
    nodes = build.nodes
    height = int(max((node.y + NODE_HEIGHT for node in nodes), default=_TOP)) + 4
    return Graph(nodes, _edges(build), WIDTH, height, len(drawn), len(session.verdicts) - len(drawn))


def _subject(build: _Builder, place: int) -> Node:
    verdict = build.session.verdicts[place]
    subject = verdict.subject
    title = subject.tool or (subject.topic or subject.kind).replace("_", " ")
    node = build.node((subject.kind, subject.id), subject.kind, title, verdict.declared, verdict.verdict)
    # an intent that was first drawn as the owner of a claim gets its own verdict now
    node.style, node.mark = verdict.verdict, GLYPHS[verdict.verdict]
    said = f"“{subject.text}”" if subject.kind == "claim" and subject.text else verdict.declared
    node.subtitle, node.href = printable(build.session.near(said), _SUBTITLE), f"#v{place}"
    node.said = printable(
        f"{subject.kind}: {verdict.declared}, {verdict.verdict}. Seen: {verdict.observed}", 600
    )
    node.order = float(verdict.window.open)
    node.verdicts.add(place)
    return node


def _owner(build: _Builder, place: int) -> Node | None:
    """The intent that a claim is about, where the claim says so."""
    subject = build.session.verdicts[place].subject
    claim = build.session.claims.get(subject.id) if subject.kind == "claim" else None
    intent = (
        build.session.intents.get(claim.intent) if claim is not None and claim.intent is not None else None
    )
    if intent is None:
        return None
    expected = intent.executions[0] if intent.executions else None
    subtitle = command((expected.program, *expected.args), 120) if expected is not None else intent.kind
    node = build.node(("intent", intent.intent), "intent", intent.tool, subtitle, "none")
    node.order = node.order or float(intent.ts)
    node.verdicts.add(place)
    return node


def _unseen(build: _Builder, place: int, about: int) -> Node:
    """The box of a verdict that cites no event: a dashed one, unless the verdict confirms what was said."""
    verdict = build.session.verdicts[place]
    if verdict.verdict == "verified":
        return build.node(("seen", f"{about}"), "effect", build.session.near(verdict.observed), "")
    title = "nothing seen" if verdict.verdict == "refuted" else "could not be seen"
    return build.node(
        ("ghost", f"{about}/{title}"), "ghost", title, build.session.near(verdict.observed), verdict.verdict
    )


def _effects(build: _Builder, place: int, limits: Limits) -> list[Node]:
    found: dict[int, Node] = {}
    for item in build.session.verdicts[place].evidence[: limits.evidence]:
        event = build.session.cited.get(item.id)
        key, title, subtitle, href = _effect(build.session, event, item.fact, item.id)
        node = build.node(key, "effect", title, subtitle)
        node.href = node.href or href
        found[node.number] = node
    return list(found.values())


def _effect(
    session: Session, event: AnyEvent | None, fact: str, evidence: str
) -> tuple[tuple[str, str], str, str, str]:
    match event:
        case Exec() | Exit() | ExecFailed() | Fork():
            if isinstance(event, ExecFailed):
                return ("failed", evidence), event.path, f"exec failed: {errno_name(event.errno)}", ""
            process = session.processes[event.process]
            title = command(process.argv, 80) or program(process)
            return (
                ("process", event.process),
                title,
                f"{outcome(process)} · pid {process.pid}",
                f"#p{process.number}",
            )
        case File():
            failed = f" failed: {errno_name(event.errno)}" if event.errno else ""
            path = _tail(session.near(event.path))
            return (
                ("file", f"{event.op} {event.path}"),
                path,
                f"{words().op.get(event.op, event.op)}{failed}",
                "",
            )
        case FileState():
            state = f"there, {event.size:,} bytes" if event.exists else "not there"
            return ("state", event.path), _tail(session.near(event.path)), f"afterwards: {state}", ""
        case Net() | Flow():
            where = f"{event.address}{f':{event.port}' if event.port else ''}"
            what = (
                event.op
                if isinstance(event, Net)
                else f"{event.sent:,} B sent, {event.received:,} B received"
            )
            return ("net", f"{where} {type(event).__name__}"), where, what, ""
        case _:
            return ("fact", evidence), fact, "", ""


def _tail(path: str) -> str:
    """The end of a long path, which tells more than its beginning."""
    return path if len(path) <= _TITLE else "…" + path[1 - _TITLE :]


def _layout(build: _Builder) -> None:
    nodes = build.nodes
    for source, target in build.links:
        nodes[source].right.append(target)
        nodes[target].left.append(source)
    columns: list[list[Node]] = [[n for n in nodes if n.column == column] for column in range(3)]
    columns[0].sort(key=lambda n: (n.order, n.number))
    _stack(columns[0], lambda _: 0.0)
    claims = sorted(columns[2], key=lambda n: (n.order, n.number))
    for place, claim in enumerate(claims):
        claim.y = _TOP + place * (NODE_HEIGHT + _GAP)
    placed_claims = {claim.number for claim in claims}

    def middle(node: Node) -> float:
        near = node.left or [number for number in node.right if number in placed_claims]
        return _mean([nodes[number].y for number in near])

    columns[1].sort(key=lambda n: (middle(n), n.number))
    _stack(columns[1], lambda _: 0.0)
    # with the order settled, each intent moves down to its effects, and they to it
    _stack(columns[0], lambda node: _mean([nodes[number].y for number in node.right]))
    _stack(columns[1], middle)
    columns[2].sort(key=lambda n: (middle(n), n.number))
    _stack(columns[2], middle)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _stack(column: Iterable[Node], wish: Callable[[Node], float]) -> None:
    free = float(_TOP)
    for node in column:
        node.x = node.column * COLUMN
        node.y = round(max(free, wish(node)), 1)
        free = node.y + NODE_HEIGHT + _GAP


def _edges(build: _Builder) -> list[Edge]:
    worst = {"refuted": 2, "unverifiable": 1, "verified": 0}
    edges: list[Edge] = []
    for (source, target), (judged, places) in build.links.items():
        left, right = build.nodes[source], build.nodes[target]
        ghost = "ghost" in (left.kind, right.kind)
        words = [build.session.verdicts[place].verdict for place in (places if ghost else judged)]
        style = max(words, key=lambda word: worst.get(word, 0), default="none")
        x1, y1 = left.x + NODE_WIDTH, left.y + NODE_HEIGHT / 2
        x2, y2 = right.x, right.y + NODE_HEIGHT / 2
        bend = (x1 + x2) / 2
        path = f"M{x1} {y1:g}C{bend:g} {y1:g} {bend:g} {y2:g} {x2} {y2:g}"
        edges.append(Edge(source, target, style, ghost, path, " ".join(map(str, sorted(places)))))
    order = {"refuted": 1}
    return sorted(edges, key=lambda edge: order.get(edge.style, 0))


def caption(drawn: Graph) -> str:
    """What the picture leaves out, in words; empty if nothing."""
    return f"{counted(drawn.hidden, 'further verdict')} not drawn here." if drawn.hidden else ""
