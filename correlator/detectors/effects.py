"""Effects that a detector may speak of, whoever asked for them: :func:`danger_of`, and what makes one honest.

Used by `unexplained` and `injection`. What is dangerous is data (polygraph/data/dangers.toml), and so is what is taken
for granted (correlator/data/trust.toml).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from correlator.facts import command
from correlator.hosts import LOCAL, HostNames, host_of
from correlator.mentions import TRUSTED
from correlator.places import is_temporary
from correlator.programs import changes_no_content, identify, is_inert, plain, program_name, programs
from correlator.session import IN_PROGRESS, Session
from correlator.trust import is_known, is_near, is_one, trust
from polygraph import events as e
from polygraph.dangers import Owned, dangers, has_a_meaning, is_inside, place_of
from polygraph.text import printable
from polygraph.tools import Purpose

DangerKind = Literal[
    "credential_read",
    "persistence",
    "outside_write",
    "unknown_host",
    "privilege",
    "test_tampering",
    "observer_tampering",
]
#: operations that put a content or a name where it is
_PUTS = frozenset({"write", "create", "truncate", "rename", "link", "symlink"})
_WRITES = _PUTS | {"unlink"}
_SETUID = 0o6000
#: tools that reach hosts of their own accord: what they are told to fetch stands in files that are not seen
_REACHES: frozenset[Purpose] = frozenset(
    {"install", "build", "test", "lint", "typecheck", "deploy", "server", "push", "commit"}
)


@dataclass(frozen=True, slots=True)
class Danger:
    """One effect of a dangerous kind. ``row`` is the place, the rule or the program that it is an effect on."""

    kind: DangerKind
    row: str
    event: e.File | e.Net | e.Name | e.Exec
    #: "wrote /etc/cron.d/x, what runs at set times"
    says: str
    path: str = ""


def danger_of(session: Session, event: e.AnyEvent) -> Danger | None:
    """What of the event is dangerous; None for nearly all of them."""
    return session.part(_Last).danger_of(event)


class _Last:
    """The answer about the last event of a session: several detectors ask, one after the other."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._event: e.AnyEvent | None = None
        self._danger: Danger | None = None

    def danger_of(self, event: e.AnyEvent) -> Danger | None:
        if event is not self._event:
            found = _danger_of(self._session, event)
            host = found is not None and found.kind == "unknown_host"
            if found is not None and may_be_of_others(
                self._session, found.event.process, event.ts, host=host
            ):
                found = None
            self._event, self._danger = event, found
        return self._danger


def _danger_of(session: Session, event: e.AnyEvent) -> Danger | None:
    match event:
        case e.File() if event.errno == 0 and event.path:
            return _file(session, event)
        case e.Net() if event.op == "connect" and event.family in ("inet", "inet6"):
            if event.errno not in (0, IN_PROGRESS) or is_near(event.address, private=False):
                return None
            return Danger("unknown_host", event.address, event, f"connected to {event.address}:{event.port}")
        case e.Name() if event.source == "sni":
            name = printable(event.name, 80)
            return Danger("unknown_host", event.name, event, f"opened a TLS connection to {name}")
        case e.Exec():
            return _exec(session, event)
        case _:
            return None


def _file(session: Session, event: e.File) -> Danger | None:
    if event.op == "read":
        if event.sensitive is None or dangers().not_secret.has(event.path):
            return None
        return Danger("credential_read", event.sensitive, event, f"read {_shown(event.path)}", event.path)
    if event.op == "chmod":
        if not event.mode & _SETUID:
            return None
        return Danger("privilege", "setuid", event, f"made {_shown(event.path)} run as its owner", event.path)
    if event.op not in _WRITES:
        return None
    path = event.new_path if event.new_path and event.op != "unlink" else event.path
    if not path.startswith("/"):
        return None
    table = dangers()
    inside = any(is_inside(path, root) for root in session.roots)
    wrote = "removed" if event.op == "unlink" else "wrote"
    known = has_a_meaning(path)
    if known and (found := place_of(path, table.observer)) is not None:
        return Danger("observer_tampering", found[0], event, f"{wrote} {_shown(path)}, {found[1].says}", path)
    if known and event.op in _PUTS and (found := place_of(path, table.persistence)) is not None:
        return Danger("persistence", found[0], event, f"wrote {_shown(path)}, {found[1].says}", path)
    if known and inside and (found := place_of(path, table.test_control)) is not None:
        return Danger("test_tampering", found[0], event, f"{wrote} {_shown(path)}, {found[1].says}", path)
    if inside or not session.roots or table.ordinary.has(path):
        return None
    return Danger("outside_write", "outside", event, f"{wrote} {_shown(path)}", path)


def _exec(session: Session, event: e.Exec) -> Danger | None:
    if event.uid == 0:
        node = session.tree.get(event.process)
        before = [image for image in node.images if image is not event] if node is not None else []
        for other in () if before else session.tree.ancestors(event.process):
            if other.images:
                before = other.images
                break
        if before and before[-1].uid != 0:
            return Danger("privilege", "root", event, f"executed {command(event)} as root")
    for row in dangers().observer_programs:
        if program_name(event) == row.program and all(_stands(session, word, event) for word in row.words):
            return Danger("observer_tampering", row.program, event, f"executed {command(event)}")
    return None


def _stands(session: Session, word: str, image: e.Exec) -> bool:
    words = image.argv[1:]
    if word != "observer":
        return word in words
    if any(one.startswith("polygraph") for one in words):
        return True
    node = session.tree.get(session.tree.root) if session.tree.root is not None else None
    observers = (
        {one.parent.partition(":")[0] for one in node.images if one.parent} if node is not None else set()
    )
    run = session.start is not None and session.start.origin == "run"
    return run and not observers.isdisjoint(words)


def _shown(path: str) -> str:
    return printable(path, 100)


# --- what makes one honest -------------------------------------------------------------------------------


def may_be_of_others(session: Session, process: e.ProcessKey, at: int, *, host: bool = False) -> bool:
    """Whether what it does may be nothing that the session did to this host, though it was started for it.

    Anyone may type into a window whose program is a shell; a container has files and users of its own. ``host``: it
    reached a host, which a container does for who started it.
    """
    came = session.graph.through(process, at)
    return came is not None and (came.evidence == "shell" or (came.evidence == "cgroup" and not host))


def images_of(session: Session, process: e.ProcessKey, at: int) -> Iterator[e.Exec]:
    """What the process was at that time and what its ancestors were, up to the agent."""
    for node in session.tree.line(process):
        if session.is_agent(node.key, at) and node.key != process:
            return
        image = node.image(at)
        if image is not None:
            yield image


def below_installer(session: Session, process: e.ProcessKey, at: int) -> bool:
    """Whether something that is installed runs: below an installer, and not the installer itself."""
    for number, image in enumerate(images_of(session, process, at)):
        match = identify(image)
        if number and match is not None and match.tool.purpose == "install":
            return True
    return False


def of_system_installer(session: Session, process: e.ProcessKey, at: int) -> bool:
    """Whether a package of the system is being installed."""
    return any(
        is_one(program_name(image), trust().system_installers) for image in images_of(session, process, at)
    )


def reads_its_own(session: Session, event: e.File) -> bool:
    """Whether the program that read a credential is one that reads it by itself."""
    row = dangers().credentials.get(event.sensitive or "", Owned(frozenset()))
    image = next(images_of(session, event.process, event.ts), None)
    if image is None:
        return False
    if is_one(program_name(image), row.owners):
        return not is_temporary(image.path)
    if not row.libraries or below_installer(session, event.process, event.ts):
        return False
    return plain(image.path) in programs().interpreters or not is_inert(image, session.roots)


def in_project(session: Session, event: e.File) -> bool:
    """Whether the credential is the project's own: part of what is worked on."""
    row = dangers().credentials.get(event.sensitive or "")
    return row is not None and row.project and any(is_inside(event.path, root) for root in session.roots)


def was_walked(session: Session, event: e.File) -> bool:
    """Whether the program was given a folder above the file: it looks at everything there (``grep -r``)."""
    image = next(images_of(session, event.process, event.ts), None)
    if image is None or below_installer(session, event.process, event.ts):
        return False
    return any(
        argument.startswith("/") and len(argument) > 1 and is_inside(event.path, argument)
        for argument in image.argv[1:]
    )


class Hosts:
    """What is known of hosts by name: what an address is called, who is a model, who gave TLS a name."""

    def __init__(self) -> None:
        self._names = HostNames()
        self._models: set[str] = set()
        #: an answer of DNS was seen: the names of addresses are
        self.resolves = False
        #: names that processes gave to TLS: it tells no address
        self.tls: dict[e.ProcessKey, list[e.Name]] = {}

    def see(self, event: e.AnyEvent) -> None:
        """Takes any event."""
        if isinstance(event, e.LlmCall):
            self._models.add(host_of(event.host.lower()))
        elif isinstance(event, e.Name):
            self._names.add(event)
            if event.source == "dns":
                self.resolves = True
            else:
                self.tls.setdefault(event.process, []).append(event)

    def of(self, event: e.Net | e.Name) -> list[str]:
        """The host of an effect by all its names."""
        if isinstance(event, e.Name):
            return [event.name, event.name.rstrip(".").lower()]
        return self.at(event.address, event.ts)

    def at(self, address: str, until: int) -> list[str]:
        """The names that an address had, itself first."""
        return self._names.of(address, until)

    def are_known(self, hosts: Iterable[str]) -> bool:
        """Whether one of the names is a model's, or a host that tools reach by themselves, or of the local network."""
        return any(
            host in self._models or host in LOCAL or is_known(host) or "." not in host.strip(".")
            for host in hosts
            if ":" not in host
        )


def is_a_tools(session: Session, process: e.ProcessKey, at: int) -> bool:
    """Whether a known tool is at work that reaches hosts of its own accord."""
    for image in images_of(session, process, at):
        match = identify(image)
        if match is not None and match.tool.purpose in _REACHES:
            return True
    return False


def said_before(session: Session, mention: e.Mention, ts: int) -> bool:
    """Whether it was said before an effect at ``ts``, or in an answer that was acted on while it came."""
    if mention.said_ts <= ts:
        return True
    state = session.intents.get(mention.intent) if mention.intent is not None else None
    if state is None or mention.origin != "intent":
        return False
    call = session.calls.get(state.intent.call)
    return call is not None and 0 < call.request_ts <= ts


def named_by(session: Session, what: str, values: list[str], ts: int) -> list[e.Mention]:
    """Who named it before the effect."""
    return [m for m in session.mentions.of(what, values) if said_before(session, m, ts)]


def is_asked_for(mentions: list[e.Mention], *, results: bool) -> bool:
    """Whether somebody asked for it; ``results``: that a result named it is enough, since it was looked at."""
    asking = TRUSTED | {"intent", "answer"} | ({"result"} if results else set())
    return any(mention.origin in asking for mention in mentions)


def becomes_root_openly(session: Session, intent: str | None) -> bool:
    """Whether the tool call itself asks for another user."""
    state = session.intents.get(intent) if intent is not None else None
    if state is None:
        return False
    return any(is_one(one.program, trust().becomes_root) for one in state.intent.executions)


def leaves_content(session: Session, danger: Danger) -> bool:
    """Whether the program that wrote changes what it opens (``touch`` does not)."""
    image = next(images_of(session, danger.event.process, danger.event.ts), None)
    return image is None or not changes_no_content(image, session.roots)
