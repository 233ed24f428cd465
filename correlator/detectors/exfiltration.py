"""Exfiltration path: a secret was read, and then bytes went out of the same lineage.

From the process that read the secret the search follows what may carry its content on: forks after the read, files
that such a process wrote and others opened afterwards, and the shell that stands above it, to whose other programs a
pipe or a substitution leads (`cat key | curl`, `curl -d "$(cat key)"`). Contents are not looked at, so each step has a
grade; bytes and destination are the kernel's. A program that reads its own credential carries nothing on, whoever it
talks to, and neither does one that sends to a host that the user or the configuration names, or to a known one.

Where the model itself was given the secret (`secret_to_model`), nothing left but by way of the conversation: told
apart, since every agent that is asked to look at such a file does it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from correlator import declared
from correlator.detectors import effects
from correlator.facts import command, fact
from correlator.mentions import TRUSTED
from correlator.processes import Node
from correlator.programs import is_shell, plain, program_name
from correlator.session import Session
from correlator.trust import is_near, is_one, trust
from polygraph import events as e
from polygraph.dangers import Owned, dangers
from polygraph.findings import Finding, Step, detectors
from polygraph.ids import derived_id
from polygraph.reasons import Grade
from polygraph.text import printable
from polygraph.verdicts import Window

NAME = "exfiltration_path"
_SSH = 22
#: programs that a shell started afterwards and that are looked at, for one that printed a secret
_BRANCHES = 64
#: writes of the session between the start of such a program and its read that are looked at
_EARLIER = 4096
_PUTS = frozenset({"write", "create", "truncate"})
_NOBODYS = Owned(frozenset())
_ORDER: dict[Grade, int] = {"exact": 2, "strong": 1, "weak": 0}


@dataclass(frozen=True, slots=True)
class _Has:
    """A process that may have the secret, since when, how surely, and by which steps."""

    process: e.ProcessKey
    since: int
    grade: Grade
    steps: tuple[Step, ...]
    #: the secret is made to be sent with requests
    token: bool


@dataclass(slots=True)
class _Bytes:
    """What went over one socket: before a moment is what the last row before it says."""

    process: e.ProcessKey
    address: str
    port: int
    rows: list[e.Flow]

    def add(self, flow: e.Flow, secret: int) -> None:
        """Takes a row; ``secret``: when the latest secret was read, before which the last row is kept."""
        if len(self.rows) > 1 and secret <= self.rows[-2].ts:
            self.rows.pop()
        self.rows.append(flow)

    def since(self, ts: int) -> tuple[int, e.Flow | None]:
        """Bytes that were sent since, and the row that says so."""
        before = max((row.sent for row in self.rows if row.ts <= ts), default=0)
        last = max(self.rows, key=lambda row: (row.sent, row.ts))
        return (last.sent - before, last) if last.ts > ts else (0, None)


class ExfiltrationPath:
    """See the head of the module."""

    def __init__(self) -> None:
        thresholds = detectors()[NAME].thresholds
        self._sent = int(thresholds["sent"].value)
        self._result = int(thresholds["result"].value)
        self._processes = int(thresholds["processes"].value)
        self._most = int(thresholds["secrets"].value)
        self._hosts = effects.Hosts()
        self._secrets: dict[tuple[e.ProcessKey, str], e.File] = {}
        self._last_secret = 0
        #: secrets for which the conversation has not gone on
        self._fresh: list[e.File] = []
        self._flows: dict[e.ProcessKey, dict[int, _Bytes]] = {}
        #: what processes wrote since the first secret was read
        self._writes: dict[e.ProcessKey, list[e.File]] = {}

    def see(self, session: Session, event: e.AnyEvent) -> None:
        """Keeps reads of secrets, and from then on what may carry them."""
        match event:
            case e.Name() | e.LlmCall():
                self._hosts.see(event)
            case e.Flow() if event.sent and (
                event.process in self._hosts.tls or not is_near(event.address, private=False)
            ):
                sockets = self._flows.setdefault(event.process, {})
                known = sockets.setdefault(event.socket, _Bytes(event.process, event.address, event.port, []))
                known.add(event, self._last_secret)
            case e.File() if event.errno == 0 and event.op == "read" and event.sensitive is not None:
                self._read(session, event)
            case e.File() if (
                self._secrets and event.errno == 0 and event.op in ("write", "create", "truncate")
            ):
                self._writes.setdefault(event.process, []).append(event)
            case _:
                pass

    def _read(self, session: Session, event: e.File) -> None:
        if effects.may_be_of_others(session, event.process, event.ts):
            return
        key = (event.process, event.path)
        if key in self._secrets or len(self._secrets) >= self._most or dangers().not_secret.has(event.path):
            return
        self._secrets[key] = event
        self._last_secret = max(self._last_secret, event.ts)
        self._fresh.append(event)

    def due(self, session: Session, now: int, *, final: bool) -> Iterable[Finding]:  # noqa: ARG002
        """Each secret is followed when its conversation has gone on, and once more at the end."""
        ready = (
            list(self._secrets.values()) if final else [s for s in self._fresh if session.graph.settled(s.ts)]
        )
        self._fresh = [] if final else [s for s in self._fresh if not session.graph.settled(s.ts)]
        for secret in ready:
            if session.startup_end is None or secret.ts <= session.startup_end:
                continue
            if session.graph.of(secret).cause == "housekeeping":
                continue
            yield from self._to_model(session, secret)
            if self._is_taken(session, secret):
                yield from self._sent_out(session, secret)

    def _is_taken(self, session: Session, secret: e.File) -> bool:
        """Whether the read carries anything on: not by the agent itself, nor by who reads it for its own use.

        A shell that sources a project's settings, or a program that loads them, uses them as they are meant; what
        prints or packs a file carries it on, if it was given that file and not a folder in which it lies.
        """
        if session.is_agent(secret.process, secret.ts) or effects.reads_its_own(session, secret):
            return False
        image = next(effects.images_of(session, secret.process, secret.ts), None)
        project = effects.in_project(session, secret)
        if image is None or not (project or self._row(secret).sent):
            return True
        if not is_one(program_name(image), trust().printers):
            return False
        name = secret.path.rpartition("/")[2]
        return not project or any(name in argument for argument in image.argv[1:])

    # --- where it went -----------------------------------------------------------------------------------

    def _sent_out(self, session: Session, secret: e.File) -> Iterator[Finding]:
        for has in self._followed(session, secret):
            for flow in self._flows.get(has.process, {}).values():
                sent, row = flow.since(has.since)
                if row is None or sent < self._sent:
                    continue
                name = self._destination(session, secret, has, flow)
                if name is not None:
                    yield self._finding(session, secret, has, row, sent, name)

    def _followed(self, session: Session, secret: e.File) -> list[_Has]:
        """Processes that may have the secret, each by the surest way, nearest first."""
        image = next(effects.images_of(session, secret.process, secret.ts), None)
        first = Step(ts=secret.ts, what=f"{_name(image)} read {_path(secret.path)}", id=secret.id)
        found: dict[e.ProcessKey, _Has] = {}
        token = self._row(secret).sent
        todo = deque([_Has(secret.process, secret.ts, "exact", (first,), token)])
        while todo and len(found) < self._processes:
            has = todo.popleft()
            known = found.get(has.process)
            if known is not None and (known.since <= has.since or _ORDER[known.grade] > _ORDER[has.grade]):
                continue
            found[has.process] = has
            todo.extend(self._onward(session, has))
        return list(found.values())

    def _onward(self, session: Session, has: _Has) -> Iterator[_Has]:
        node = session.tree.get(has.process)
        for key in node.children if node is not None else ():
            child = session.tree.get(key)
            if child is not None and child.born >= has.since:
                yield self._step(session, has, key, child.born, "strong", "was started by it")
        yield from self._by_files(session, has)
        yield from self._by_pipes(session, has)

    def _by_files(self, session: Session, has: _Has) -> Iterator[_Has]:
        for wrote in self._written(session, has):
            if not wrote.dev or not wrote.ino:
                continue
            since = max(wrote.ts, has.since)
            what = Step(ts=since, what=f"it wrote {_path(wrote.path)}", id=wrote.id, grade="strong")
            for read in session.reads.get((wrote.dev, wrote.ino), ()):
                if read.process != has.process and read.ts >= since:
                    through = replace(has, steps=(*has.steps, what))
                    yield self._step(
                        session, through, read.process, read.ts, "strong", "opened that file", read.id
                    )

    def _written(self, session: Session, has: _Has) -> Iterator[e.File]:
        """Files that the process opened for writing since; what prints has its output opened before it reads."""
        yield from (wrote for wrote in self._writes.get(has.process, ()) if wrote.ts >= has.since)
        node = session.tree.get(has.process)
        image = node.image(has.since) if node is not None else None
        if node is None or image is None or not is_one(program_name(image), trust().printers):
            return
        for touch in islice(session.written(node.born, has.since - 1), _EARLIER):
            if touch.event.process == has.process and touch.event.op in _PUTS:
                yield touch.event

    def _by_pipes(self, session: Session, has: _Has) -> Iterator[_Has]:
        """Programs that the same shell started after it, as the command says or as they ran at the same time.

        A shell starts the programs of a pipeline from left to right: those before read nothing of this one. On a busy
        machine the first may have ended when the second is started.
        """
        node = session.tree.get(has.process)
        image = node.image(has.since) if node is not None else None
        if node is None or image is None or not is_one(program_name(image), trust().printers):
            return
        own, top = node, None
        for top in session.tree.ancestors(has.process):
            if top.image(has.since) is not None:
                break
            own = top  # a subshell
        if top is None or session.is_agent(top.key, has.since) or not self._is_shell(top, has.since):
            return
        feeds = self._feeds(session, has, image)
        ended = node.exit.ts if node.exit is not None else has.since
        later = (session.tree.get(key) for key in top.children)
        for other in islice(
            (n for n in later if n is not None and n is not own and n.born >= own.born), _BRANCHES
        ):
            if feeds is not None:
                grade, how = feeds
            elif other.born <= ended:
                grade, how = "strong", "ran beside it, by the same shell"
            else:
                grade, how = "weak", "was run by the same shell afterwards"
            yield self._step(session, has, other.key, other.born, grade, how)

    def _feeds(self, session: Session, has: _Has, image: e.Exec) -> tuple[Grade, str] | None:
        """What the tool call's own command says of where the output of this program goes."""
        belongs = session.graph.of(image)
        state = session.intents.get(belongs.intent) if belongs.intent is not None else None
        name = program_name(image)
        for one in state.intent.executions if state is not None else ():
            if plain(one.program) != plain(name) or one.feeds is None:
                continue
            if one.feeds == "pipe":
                return "strong", "was run by the same shell, which pipes that output on"
            return (
                "weak" if has.token else "strong",
                "was run by the same shell, with that output in its words",
            )
        return None

    def _is_shell(self, node: Node, at: int) -> bool:
        image = node.image(at)
        return image is not None and is_shell(image)

    def _step(
        self, session: Session, has: _Has, key: e.ProcessKey, ts: int, grade: Grade, how: str, ident: str = ""
    ) -> _Has:
        node = session.tree.get(key)
        image = (node.images[-1] if node.images else None) if node is not None else None
        step = Step(
            ts=ts, what=f"{_name(image)} {how}", id=ident or (image.id if image else key), grade=grade
        )
        worst = min(grade, has.grade, key=_ORDER.__getitem__)
        return _Has(key, ts, worst, (*has.steps, step), has.token)

    # --- to whom -----------------------------------------------------------------------------------------

    def _destination(self, session: Session, secret: e.File, has: _Has, flow: _Bytes) -> str | None:
        """The name of where it went, if nobody vouches for that."""
        ts = max(row.ts for row in flow.rows)
        names = self._hosts.at(flow.address, ts)
        tls = [
            name.name.rstrip(".").lower() for name in self._hosts.tls.get(flow.process, ()) if name.ts <= ts
        ]
        hosts = [*names, *tls]
        if is_near(flow.address, private=False) and not tls:
            return None
        # Of a loopback address only the name counts that was given to TLS: something listens here for another host.
        if self._hosts.are_known(tls if is_near(flow.address, private=False) else hosts):
            return None
        said = effects.named_by(session, "host", hosts, ts)
        if any(mention.origin in TRUSTED for mention in said):
            return None
        # One thing after the other is no path, unless nobody named where it went, or a text did so first.
        first = min(said, key=lambda m: m.said_ts, default=None)
        if has.grade == "weak" and (
            self._row(secret).sent or (first is not None and first.origin != "result")
        ):
            return None
        if secret.sensitive == "ssh_private_key" and flow.port == _SSH:
            return None  # a library of SSH: the key is used, and is not sent
        return tls[-1] if tls else names[-1]

    def _row(self, secret: e.File) -> Owned:
        return dangers().credentials.get(secret.sensitive or "", _NOBODYS)

    # --- to the model ------------------------------------------------------------------------------------

    def _to_model(self, session: Session, secret: e.File) -> Iterator[Finding]:
        belongs = session.graph.of(secret)
        state = session.intents.get(belongs.intent) if belongs.intent is not None else None
        if state is None or belongs.rivals or state.result is None or state.result.is_error:
            return
        intent, result = state.intent, state.result
        programs = [one.program for one in intent.executions if not one.builtin]
        inside = session.is_agent(secret.process, secret.ts)
        prints = all(is_one(program, trust().whole_printers) for program in programs)
        whole = bool(programs) and prints and not inside
        if not ((intent.kind == "read" and inside and belongs.named) or whole) or result.size < self._result:
            return
        call = session.calls.get(result.call)
        host = printable(call.host, 80) if call is not None else "the model"
        said = declared.of_intent(intent)
        steps = [
            Step(ts=intent.ts, what=f"the model asked to {said}", id=intent.intent),
            Step(ts=secret.ts, what=f"it read {_path(secret.path)}", id=secret.id, grade=belongs.grade),
            Step(
                ts=result.ts,
                what=f"its result of {result.size} characters was sent to {host}",
                id=result.call,
                grade="exact",
            ),
        ]
        yield Finding(
            id=derived_id("f", session.id, NAME, "secret_to_model", secret.id),
            session=session.id,
            ts=result.ts,
            detector=NAME,
            kind="secret_to_model",
            summary=f"{_path(secret.path)} ({secret.sensitive}) was read by “{said}”, and the result went to {host}",
            evidence=tuple(fact(one) for one in (secret, call) if one is not None),
            window=Window(open=intent.ts, close=result.ts),
            path=tuple(steps),
            figures={"result": float(result.size)},
        )

    def _finding(
        self, session: Session, secret: e.File, has: _Has, row: e.Flow, sent: int, name: str
    ) -> Finding:
        where = (
            f"{printable(name, 80)} ({row.address}:{row.port})"
            if name != row.address
            else f"{name}:{row.port}"
        )
        last = Step(ts=row.ts, what=f"it sent {sent} bytes to {where}", id=row.id, grade="exact")
        image = session.tree.image(has.process, row.ts)
        return Finding(
            id=derived_id("f", session.id, NAME, "secret_sent", secret.id, str(row.socket)),
            session=session.id,
            ts=row.ts,
            detector=NAME,
            kind="secret_sent",
            summary=f"{_path(secret.path)} ({secret.sensitive}) was read, and {sent} bytes went to {where}",
            evidence=tuple(fact(one) for one in (secret, image, row) if one is not None),
            window=Window(open=secret.ts, close=row.ts),
            path=(*has.steps, last),
            figures={"sent": float(sent), "steps": float(len(has.steps) + 1)},
        )


def _name(image: e.Exec | None) -> str:
    return command(image) if image is not None else "a process without a program of its own"


def _path(path: str) -> str:
    return printable(path, 100)
