"""Work that was given to a process outside the lineage: was it followed, or where did it go?

What came in by a `delegated` event is of the lineage, so its effects speak for themselves. What this module decides is
what may be concluded from silence: nothing, unless all that a program handed over was followed.
"""

from __future__ import annotations

import tomllib
from bisect import bisect_left
from collections.abc import Set as AbstractSet
from functools import cache
from importlib import resources

import msgspec

from correlator.paths import under
from correlator.places import is_content, is_system, is_temporary
from correlator.programs import hand_off_to, program_name
from correlator.session import IntentState, Session, Touch
from polygraph.events import Exec, McpCall, Net, ProcessKey

_MCP = "mcp server"


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of data/delegation.toml."""

    values: frozenset[str]
    asks: frozenset[str]
    idle: frozenset[str]
    unless: tuple[str, ...]
    inside: bool
    rooted: bool


@cache
def forms() -> dict[str, Form]:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    raw = tomllib.loads(resources.files("correlator").joinpath("data/delegation.toml").read_text("utf-8"))
    return msgspec.convert(raw, dict[str, Form])


def handed_to(session: Session, image: Exec, *, files: bool = False) -> str | None:
    """Where work of this program happens unseen; None if it gives none away, or all of it was followed.

    ``files``: it is asked about files, which what has a root of its own knows by other paths.
    """
    target = hand_off_to(image)
    if target is None:
        return None
    form = forms().get(program_name(image))
    if form is None:
        return target
    words = image.argv[1:]
    asks = _subcommand(form, words)
    several = any(word.endswith(";") for word in words)
    if asks in form.idle and not several:
        return None
    if form.inside and _server_inside(session, image):
        return None
    followed = session.delegations.get(image.process, ())
    whole = (
        bool(followed)
        and not (files and form.rooted)
        and not several
        and not image.argv_truncated
        and (not form.asks or asks in form.asks)
        and not any(word.startswith(form.unless) for word in words if form.unless)
    )
    return None if whole else target


def given_away(session: Session, state: IntentState, until: int, *, files: bool = False) -> str | None:
    """To whom a tool call gave work that was not seen; None if to nobody, or if all of it was followed.

    ``files``: as in :func:`handed_to`.
    """
    target = state.intent.hand_off
    if target is None:
        return None
    if target == _MCP:
        return server_of(session, state, until) or target
    end = state.result.ts if state.result is not None else until
    images = [i for i in session.executed(state.intent.ts, end) if hand_off_to(i) is not None]
    followed = bool(images) and all(handed_to(session, image, files=files) is None for image in images)
    return None if followed else target


def told_to_have_failed(state: IntentState) -> bool:
    """Whether a call that delegates to a sub-agent got an error for its answer: nobody says that the work was done."""
    return state.intent.kind == "delegate" and state.result is not None and state.result.is_error


def daemons_of(
    session: Session, clients: AbstractSet[ProcessKey], since: int, until: int
) -> set[ProcessKey] | None:
    """Whom of the lineage the clients of a daemon asked on this host in [since, until]; None if also somebody else."""
    if session.coverage.gate(("network",), since, until) is not None:
        return None
    found: set[ProcessKey] = set()
    for client in clients:
        asked = (*session.local_connects.get(client, ()), *session.unix_connects.get(client, ()))
        for net in (net for net in asked if since <= net.ts <= until):
            daemon = _asked_for(session, net)
            if daemon is None:
                return None
            found.add(daemon)
    return found


def _asked_for(session: Session, net: Net) -> ProcessKey | None:
    """The process of the lineage at the other end, if it is one."""
    if net.family == "unix":
        node = session.tree.holder(net.peer_pid, net.ts) if net.peer_pid > 0 else None
        return node.key if node is not None else None
    listens = session.listening.get(net.port, net.ts + 1) <= net.ts
    return session.listeners[net.port] if listens else None


# --- files ----------------------------------------------------------------------------------------------


def left_for_others(session: Session, since: int, until: int) -> Touch | None:
    """A file that was written in [since, until] outside the project, and is there: a queue has its jobs so.

    Who takes it up is not known. Temporary files, what begins with a dot, and what git writes is no job.
    """
    return next(
        (touch for touch in session.part(_Outside).all() if since <= touch.first and touch.ts <= until), None
    )


class _Outside:
    """Writes outside the project that may be jobs for others, each write looked at once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._taken = 0
        self._last: Touch | None = None
        self._found: dict[str, Touch] = {}

    def all(self) -> list[Touch]:
        """The last write of each that is still there."""
        writes = self._session.writes
        if self._taken and writes[self._taken - 1] is not self._last:  # one was told late
            self._taken = 0
            self._found.clear()
        for touch in writes[self._taken :]:
            if touch.gone:
                self._found.pop(touch.path, None)
            elif touch.event.op != "mkdir" and self._may_be_a_job(touch):
                self._found[touch.path] = touch
        self._taken, self._last = len(writes), writes[-1] if writes else None
        return list(self._found.values())

    def _may_be_a_job(self, touch: Touch) -> bool:
        roots = self._session.roots
        if not roots or any(under(touch.path, root) for root in roots) or is_temporary(touch.path):
            return False
        hidden = any(part.startswith(".") for part in touch.path.split("/"))
        if hidden or is_system(touch.path) or not is_content(touch.path.lstrip("/")):
            return False
        image = self._session.tree.image(touch.event.process, touch.ts)
        return image is None or program_name(image) != "git"


# --- MCP servers -----------------------------------------------------------------------------------------


def server_of(session: Session, state: IntentState, until: int) -> str | None:
    """``MCP server NAME at ADDRESS``, of a tool call that such a server was seen to get."""
    call = _mcp_call(session, state, until)
    if call is None:
        return None
    name = state.intent.tool.replace(".", "__").split("__")[1]
    if call.transport == "stdio":
        where = f"process {call.peer.partition(':')[0]}" if call.peer is not None else "a pipe"
    else:
        net = session.connects.get(call.socket)
        if net is None:
            return f"MCP server {name}"
        where = f"{net.address}:{net.port}" if net.port else net.address
    return f"MCP server {name} at {where}"


def served_inside(session: Session, state: IntentState, until: int) -> bool:
    """Whether the MCP server that got the tool call is of the lineage, and hands nothing on itself."""
    call = _mcp_call(session, state, until)
    if call is None:
        return False
    if call.transport == "stdio":
        node = session.tree.get(call.peer) if call.peer is not None else None
        image = node.image(call.ts) if node is not None else None
        return node is not None and (image is None or handed_to(session, image) is None)
    net = session.connects.get(call.socket)
    if net is None:
        return False
    if net.family == "unix":
        return _of_lineage(session, net)
    local = net.address.startswith("127.") or net.address == "::1"
    return local and session.listening.get(net.port, net.ts + 1) <= net.ts


def _mcp_call(session: Session, state: IntentState, until: int) -> McpCall | None:
    tool = state.intent.tool
    end = state.result.ts if state.result is not None else until
    first = bisect_left(session.mcp_calls, state.intent.ts, key=lambda call: call.ts)
    for call in session.mcp_calls[first:]:
        if call.ts > end:
            break
        if call.side == "client" and tool.endswith((f"__{call.tool}", f".{call.tool}")):
            return call
    return None


# --- what was asked for ----------------------------------------------------------------------------------


def _subcommand(form: Form, words: tuple[str, ...]) -> str | None:
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in form.values:
            skip = True
        elif not word.startswith("-"):
            return word
    return None


def _server_inside(session: Session, image: Exec) -> bool:
    """Whether whoever it asked over a Unix socket is of the lineage; also if it asked nobody and began a server."""
    node = session.tree.get(image.process)
    if node is None:
        return False
    asked = [net for net in session.unix_connects.get(image.process, ()) if net.ts >= image.ts]
    if asked:
        return all(_of_lineage(session, net) for net in asked)
    end = node.exit.ts if node.exit is not None else None
    began = any((child := session.tree.get(key)) is not None and child.forked for key in node.children)
    return began and end is not None and session.coverage.gate(("network",), image.ts, end) is None


def _of_lineage(session: Session, net: Net) -> bool:
    return net.peer_pid > 0 and session.tree.alive(net.peer_pid, net.ts)
