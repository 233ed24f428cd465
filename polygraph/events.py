"""The event model: every record that may enter ``log(events)``.

An event is a fact that a collector observed, either of the kernel (an effect), of the LLM traffic (a
call, an intent, a claim) or of the observation itself (coverage, loss). Events are immutable, typed and
ordered by ``(ts, seq)`` within a session. They carry no free text below content level ``redacted``: the
fields ``text`` are ``None`` there, and an argument with white space is ``text:`` and a keyed digest. Each
field's row is in polygraph/content.py.

Times are nanoseconds of CLOCK_BOOTTIME on the host that the session runs on. Paths are absolute, in the
mount namespace of the process. Bytes of paths and arguments that are not UTF-8 are kept, as private
characters that :func:`polygraph.text.to_bytes` turns back (see polygraph/text.py).

This module is the single source of the names; docs/events.md is generated from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from polygraph.openings import Extent, Opening, unpack
from polygraph.reasons import Dimension, Grade, ProbeStateWord

SCHEMA_VERSION = 1

ProcessKey = str
"""``"<pid>:<start>"``: thread group id and start time in ns since boot. Never a bare pid."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What all events share.

    Attributes:
        session: id of the session (see :func:`polygraph.ids.session_id`).
        ts: when the fact became true, ns since boot.
        seq: position in the session's log, assigned by the collector, dense from 0.
    """

    session: str
    ts: int
    seq: int = 0

    @property
    def id(self) -> str:
        """Id of the event inside its session, a function of its position in the log."""
        return f"{self.session}/{self.seq}"


# --- the session -------------------------------------------------------------------------------------


class SessionStart(Event, frozen=True, tag="session_start"):
    """A root process was enrolled."""

    host: str
    boot: str
    kernel: str
    process: ProcessKey
    argv: tuple[str, ...]
    cwd: str
    #: ``run``: enrolled before its first instruction. ``watch``: it existed before us, so effects and
    #: traffic from before ``ts`` are unknown (reason ``late_enrolment``).
    origin: Literal["run", "watch"]
    #: wall clock minus boot clock at ``ts``, ns: turns any ``ts`` into Unix time.
    wall_offset: int
    content: Literal["off", "metadata", "redacted", "full"] = "metadata"
    schema: int = SCHEMA_VERSION


class SessionEnd(Event, frozen=True, tag="session_end"):
    """The session is over for the observer.

    ``live`` processes of the lineage were still running then (0 when the lineage ended by itself).
    """

    live: int = 0


class Tick(Event, frozen=True, tag="tick"):
    """Everything that happened before ``ts`` is in the log: the watermark of the session's host."""


# --- effects: process --------------------------------------------------------------------------------


class Fork(Event, frozen=True, tag="fork"):
    """``process`` made ``child``. Threads are not reported."""

    process: ProcessKey
    child: ProcessKey


class Exec(Event, frozen=True, tag="exec"):
    """A successful exec, as the kernel resolved it.

    ``path`` is the file that runs (for a script: the interpreter), ``script`` the script file when the
    kernel ran one through ``#!``. ``argv`` is read from the new memory image; ``argv_bytes`` is its whole
    size, larger than what ``argv`` holds when ``argv_truncated``.
    """

    process: ProcessKey
    parent: ProcessKey
    path: str
    argv: tuple[str, ...]
    cwd: str
    script: str | None = None
    argv_bytes: int = 0
    argv_truncated: bool = False
    uid: int = 0
    gid: int = 0
    comm: str = ""
    dev: int = 0
    ino: int = 0
    cgroup: int = 0
    container: str | None = None
    #: inode numbers of the namespaces: mnt, pid, net, user, uts, ipc, cgroup
    namespaces: dict[str, int] = {}
    #: keyed digest of the script of ``sh -c TEXT``, without what a known agent puts around each command: joins with
    #: :attr:`Intent.command_digest`.
    command_digest: str | None = None
    #: W3C trace context out of TRACEPARENT in its environment: whoever started it wrote that, so it joins and proves
    #: nothing
    traceparent: str | None = None


Service = Literal["ssh", "tmux", "docker"]
"""Who does work for processes that are not its children."""


class Delegated(Event, frozen=True, tag="delegated"):
    """``process``, which no process of the lineage forked, does work that ``by`` asked ``through`` a service for.

    From now on it and its descendants are of the session; what the service itself does is not. ``evidence`` is the mark
    that both sides have: the ``connection`` that ``by`` made and ``process`` was forked for, the ``command`` that
    ``by`` was called with and ``process`` executes, that it became a login ``shell`` when the service had heard of
    nobody else, or its ``cgroup``, made under the id that ``by`` was given.
    """

    process: ProcessKey
    by: ProcessKey
    through: Service
    evidence: Literal["connection", "command", "shell", "cgroup"]
    grade: Grade


class ExecFailed(Event, frozen=True, tag="exec_failed"):
    """An exec that the kernel refused. ``path`` is the argument as passed: nothing was resolved."""

    process: ProcessKey
    path: str
    errno: int


class Exit(Event, frozen=True, tag="exit"):
    """The last thread of ``process`` ended: with a status, or by a signal; never both."""

    process: ProcessKey
    status: int | None = None
    signal: int | None = None
    core: bool = False


# --- effects: file -----------------------------------------------------------------------------------

FileOp = Literal[
    "read", "write", "create", "truncate", "unlink", "rmdir", "rename", "link", "symlink", "mkdir", "chmod"
]


class File(Event, frozen=True, tag="file"):
    """One file operation, or its first occurrence for (session, file, op).

    ``errno`` 0 means that it happened. ``path`` is what the kernel resolved when ``resolved``; else it is
    the argument, made absolute by the kernel's directory but not followed through symbolic links.
    The ``ino`` of an open for reading that failed is a hash of its path (``dev`` 0): later failures count
    under it. Operations on names have no ``dev`` and ``ino``, except a rename whose file the session had opened
    and the collector found at its new name. ``count`` on a flush of later touches: then ``ts`` is the time of the
    *last* one and ``first_ts`` that of the first one it covers.
    """

    process: ProcessKey
    op: FileOp
    path: str
    #: second path of rename, link and symlink (the new name; for symlink ``path`` is the target text)
    new_path: str | None = None
    errno: int = 0
    resolved: bool = True
    dev: int = 0
    ino: int = 0
    flags: int = 0
    mode: int = 0
    count: int = 1
    first_ts: int = 0
    #: the path matches a rule of data/sensitive_paths.toml; the rule's name
    sensitive: str | None = None
    deleted: bool = False
    memfd: bool = False
    path_truncated: bool = False
    #: rename: the directory entry ``new_path``, as in :class:`~polygraph.openings.Opening`; 0 where it is not known
    entry: int = 0


class Reads(Event, frozen=True, tag="reads"):
    """Ordinary files that processes of the session opened for reading since the last such event.

    ``ts`` is when the kernel's list was looked at; each row has its own. ``rows`` are packed, see
    :mod:`polygraph.openings`. Emitted when a verdict may need it and at the end, and when the list fills. Some tell
    that a file was read in part only.
    """

    rows: bytes

    def all_rows(self) -> Iterator[Opening | Extent]:
        """What was opened, and how far it was read where that was less than the whole."""
        return unpack(self.rows)

    def openings(self) -> Iterator[Opening]:
        """What was opened."""
        return (row for row in unpack(self.rows) if isinstance(row, Opening))

    def extents(self) -> Iterator[Extent]:
        """How far files were read."""
        return (row for row in unpack(self.rows) if isinstance(row, Extent))


class FileState(Event, frozen=True, tag="file_state"):
    """What a file was when the collector looked: after the result of the intent that should have made it, or at
    a claim.

    ``intent`` is the id of the intent, or of the claim of the model that names the file.
    ``matches`` compares with the content that the intent declares (``None``: it declares none, or the file
    could not be read). ``digest`` is keyed.
    """

    path: str
    intent: str
    exists: bool
    size: int = 0
    mtime: int = 0
    dev: int = 0
    ino: int = 0
    digest: str | None = None
    matches: bool | None = None


# --- effects: network --------------------------------------------------------------------------------


class Net(Event, frozen=True, tag="net"):
    """connect, bind, listen or accept, with the address that the kernel used.

    ``errno`` is the call's result; 115 (EINPROGRESS) is neither success nor failure: ``Flow`` tells.
    ``address`` is ``1.2.3.4``, ``::1``, a path, ``@name`` (abstract) or a vsock cid; ``family`` says which.
    """

    process: ProcessKey
    op: Literal["connect", "accept", "bind", "listen"]
    family: Literal["inet", "inet6", "unix", "vsock", "other"]
    protocol: Literal["tcp", "udp", "unix", "other"] = "tcp"
    address: str = ""
    port: int = 0
    local_address: str = ""
    local_port: int = 0
    errno: int = 0
    #: kernel cookie of the socket: joins Net, Flow and Tls
    socket: int = 0
    #: connect to a Unix socket: pid of who listens there, as the kernel holds it; 0: not known
    peer_pid: int = 0


class Flow(Event, frozen=True, tag="flow"):
    """Bytes of a socket so far (``closed`` False) or in all (True). ``established``: a handshake was made."""

    process: ProcessKey
    socket: int
    address: str
    port: int
    family: Literal["inet", "inet6", "unix", "vsock", "other"]
    sent: int = 0
    received: int = 0
    established: bool = False
    closed: bool = False


class Name(Event, frozen=True, tag="name"):
    """An address got a name: a DNS answer that the lineage read, or the name given to TLS (SNI)."""

    process: ProcessKey
    source: Literal["dns", "sni"]
    name: str
    addresses: tuple[str, ...] = ()


# --- what the agent says -----------------------------------------------------------------------------

Api = Literal[
    "anthropic.messages",
    "openai.chat",
    "openai.responses",
    "gemini.generate_content",
    "bedrock.converse",
    "bedrock.invoke",
    "ollama.chat",
    "ollama.generate",
    "cohere.chat",
]

Transport = Literal["http/1.1", "h2", "websocket"]
"""What a call went over."""

Fate = Literal["answered", "refused", "interrupted", "cancelled", "unanswered"]
"""What became of a try of a call: see :class:`LlmCall`."""


class LlmCall(Event, frozen=True, tag="llm_call"):
    """One try of a call of a model: a request and its response. ``ts`` is when the response was over (or lost).

    A request that is sent again after it failed or broke off is the same call, and so is an answer that is asked for
    again from where it broke off: same ``call``, ``attempt`` one higher, and the highest one's ``fate`` is the call's.
    ``status`` is HTTP's; over a WebSocket that of an error, else 200 for an answer.

    ``fate`` is one of:

    - ``answered``: an answer came, and nothing shows that it broke off (``complete`` False: part of it was not
      seen).
    - ``refused``: a status other than 2xx, or the provider's error in place of the answer or of its rest.
    - ``interrupted``: the answer broke off before its end mark, and the client was not seen to end it. HTTP/1.1
      does not tell who closed a connection.
    - ``cancelled``: the client was seen to end it before the answer was over: it reset the stream, closed the
      WebSocket first, or asked the provider to stop.
    - ``unanswered``: nothing of an answer was seen, or only that the provider works on it (background mode).
    """

    call: str
    process: ProcessKey
    api: Api
    host: str
    request_ts: int
    status: int = 0
    streamed: bool = False
    model: str = ""
    response_id: str | None = None
    finish: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    #: False: bytes are missing (``gap_bytes`` of them known), so what it said is known only in part
    complete: bool = True
    gap_bytes: int = 0
    traceparent: str | None = None
    transport: Transport = "http/1.1"
    fate: Fate = "answered"
    #: which try of the call, from 1
    attempt: int = 1
    #: the TLS library that it went through: openssl, boringssl, rustls, go, gnutls or nss; empty where it was none
    tls: str = ""
    #: the call that this one goes on from, in one conversation; empty where none was seen
    follows: str = ""
    #: bytes of what the request says that its conversation had not said before: results of tools, a user's message
    new_bytes: int = 0
    #: similarity signature of that; empty where there is none
    new_signature: str = ""
    #: similarity signature of the text of the answer
    answer_signature: str = ""


class McpCall(Event, frozen=True, tag="mcp_call"):
    """A tool call over the Model Context Protocol. ``ts`` is when it was answered, or given up (not ``complete``).

    ``process`` is the one whose side was seen: it called the tool (``side`` client), or serves it to a process that is
    not of the session (server). Digests are keyed: of the id's JSON, of the arguments as compact JSON, and of the
    result's text. A retry of a call that was not answered is the same call.
    """

    process: ProcessKey
    side: Literal["client", "server"]
    transport: Literal["stdio", "http"]
    tool: str
    request_ts: int
    id_digest: str
    arguments_digest: str
    method: Literal["tools/call"] = "tools/call"
    arguments_size: int = 0
    result_digest: str = ""
    result_size: int = 0
    is_error: bool = False
    complete: bool = True
    #: the other side, where the session holds it and it is known
    peer: ProcessKey | None = None
    #: kernel cookie of the socket that it went over, as in Net; 0 for pipes and where TLS hides it
    socket: int = 0


class A2aMessage(Event, frozen=True, tag="a2a_message"):
    """One operation of the Agent2Agent protocol, with its answer. Ids are the agents' own; no text.

    ``state`` is the last state of the task that the answer told (``TASK_STATE_COMPLETED`` …).
    """

    process: ProcessKey
    side: Literal["client", "server"]
    method: str
    request_ts: int
    message_id: str = ""
    task_id: str = ""
    context_id: str = ""
    state: str = ""
    is_error: bool = False
    complete: bool = True


class Execution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A program that a command line should start, after its wrappers were looked through.

    ``program`` is the base name, ``args`` its arguments with credentials removed. ``tool`` is the row of
    data/tools.toml that recognises it (``pytest``, ``cargo-test``…) or ``None``. ``conditional``: it runs
    only if something before it went well or badly (``&&``, ``||``, ``if``). ``masked``: the shell does not
    report its status (not last in a pipeline without pipefail, followed by ``;`` or ``|| true``, background).
    """

    program: str
    args: tuple[str, ...] = ()
    tool: str | None = None
    purpose: str | None = None
    cwd: str | None = None
    conditional: bool = False
    masked: bool = False
    background: bool = False
    builtin: bool = False
    #: where its output goes on to: through a pipe, or into the words of another command; None: neither, or not known
    feeds: Literal["pipe", "words"] | None = None


EditMark = Literal["skips", "empties", "exits", "hides"]
"""What an edit adds to a test file that makes it pass without work: the test is skipped, or asserts nothing, or ends
with success; ``hides``: settings of a runner that change what it found."""


class ExpectedFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file effect that an intent should have. ``path`` is absolute when the tool said so, else relative."""

    path: str
    op: Literal["read", "write", "create", "delete", "rename"]
    new_path: str | None = None
    #: keyed digest and size of the whole content, when the intent declares it
    digest: str | None = None
    size: int | None = None
    #: of a test file, or of what sets a test runner up: what the new text has and the old (if declared) has not
    marks: tuple[EditMark, ...] = ()


class Intent(Event, frozen=True, tag="intent"):
    """A tool call that the model asked for. Opens at ``ts``, when the response that carries it was complete."""

    intent: str
    call: str
    process: ProcessKey
    call_id: str
    tool: str
    kind: Literal["shell", "read", "write", "edit", "delete", "fetch", "search", "delegate", "other"]
    digest: str
    executions: tuple[Execution, ...] = ()
    files: tuple[ExpectedFile, ...] = ()
    hosts: tuple[str, ...] = ()
    #: keyed digest of the whole command text; equals :attr:`Exec.command_digest` of the shell that ran it
    command_digest: str | None = None
    #: False: the command could not be parsed whole (``parse_note`` says why), so ``executions`` is a part
    parsed: bool = True
    parse_note: str | None = None
    #: where its effects happen when not in the lineage: docker, systemd, ssh, tmux, remote…
    hand_off: str | None = None
    background: bool = False
    #: similarity signature of the arguments; empty where there are none
    signature: str = ""
    #: the command, at content level ``redacted`` and ``full``; the arguments of other tools, as JSON, at ``full`` only
    text: str | None = None


class ToolResult(Event, frozen=True, tag="tool_result"):
    """The result of an intent, as the next request of the session carried it: closes its window."""

    intent: str | None
    call_id: str
    call: str
    process: ProcessKey
    digest: str
    size: int = 0
    is_error: bool = False
    #: the exit status that the text reports, if it does: a claim, never evidence
    reported_status: int | None = None
    text: str | None = None


ClaimKind = Literal["occurrence", "outcome", "exhaustive", "absence"]

ClaimTopic = Literal[
    "tests_run",
    "tests_passed",
    "tests_failed",
    "build",
    "lint",
    "typecheck",
    "install",
    "commit",
    "push",
    "file_created",
    "file_changed",
    "file_deleted",
    "file_read",
    "server_started",
    "url_fetched",
    "deployed",
    "command_run",
    "nothing_else_changed",
]


ClaimExtractor = Literal["rules", "model"]
"""Who read the claim out of the text: the rules of collector/claims, or a model that was asked what the words mean,
which is a guess (docs/architecture.md, "The second opinion")."""


ClaimTell = Literal["whole", "part", "gone", "skipped"]
"""What a claim's text, or the user's request, says besides. It decides how strictly the claim is read.

- ``whole``: the claim is about all tests that there are ("all tests pass", "the full suite"), and nothing narrows it.
- ``part``: the text or the request speaks of a part of the tests.
- ``gone``: of files that are temporary, copies, moved or removed again.
- ``skipped``: of tests that are skipped, disabled, expected to fail or removed.
"""


class Claim(Event, frozen=True, tag="claim"):
    """Something that a tool result or the model says is so. ``ts`` is when the carrying message was complete.

    ``outcome`` is the claimed outcome: ``ok`` (passed, clean, succeeded), ``failed``, or ``None`` where the
    claim is only that it happened. ``targets`` are files, URLs or hosts named by the claim; ``tool`` the
    runner that it names. ``hedged`` claims (plans, questions, conditionals, negations that were not certain)
    are not emitted at all. ``extracted_by`` a model, it is a guess at what the words mean: ``ts`` is then when that
    answer came in, and ``said_ts`` when the message was complete.
    """

    claim: str
    source: Literal["tool_result", "model"]
    kind: ClaimKind
    topic: ClaimTopic
    outcome: Literal["ok", "failed"] | None = None
    process: ProcessKey = ""
    call: str | None = None
    intent: str | None = None
    call_id: str | None = None
    tool: str | None = None
    targets: tuple[str, ...] = ()
    #: counts that the claim states, of passed / failed / skipped / total; a result also of deselected (not run),
    #: expected (to fail) and subtests
    counts: dict[str, int] = {}
    tells: tuple[ClaimTell, ...] = ()
    digest: str = ""
    text: str | None = None
    extracted_by: ClaimExtractor = "rules"
    #: when the carrying message was complete, where ``ts`` is later; 0: at ``ts``
    said_ts: int = 0


MentionOrigin = Literal["instructions", "configuration", "intent", "answer", "result"]
"""Where something was named: by the user or the system prompt, in a file of the repository that configures it, in the
arguments of a tool call, in the model's words, or in the result of a tool call, which nobody vouches for."""


class Mention(Event, frozen=True, tag="mention"):
    """A text of the conversation named what an effect or a tool call is about. No more of the text is told.

    Told only where both are there, the text and the effect, whichever came last (``ts``), and once for each text's
    origin. ``value`` is the host or the path as the effect has it, or the ``command_digest`` of the intent whose
    command the text held on a line of its own. ``intent`` is the tool call in whose arguments or result it stood.
    """

    what: Literal["host", "path", "command"]
    value: str
    origin: MentionOrigin
    #: when the message that holds the text was complete
    said_ts: int
    intent: str | None = None
    call: str | None = None
    #: the path was written whole (``/etc/x``, ``~/x``) or with its folder; False: only its name, or a folder above it
    whole: bool = True


class MentionsLost(Event, frozen=True, tag="mentions_lost"):
    """Texts named more than is remembered: from ``ts`` on, that a :class:`Mention` is missing says nothing."""

    count: int
    cause: Literal["text_too_long", "too_many"]


# --- the observation itself --------------------------------------------------------------------------


class Coverage(Event, frozen=True, tag="coverage"):
    """State of one dimension from ``ts`` on. Measured: ``canary`` is True only after a known operation was seen."""

    dimension: Dimension
    state: ProbeStateWord
    canary: bool = False
    #: what this dimension cannot show here, by name (docs/coverage.md lists them)
    blind: tuple[str, ...] = ()
    detail: str = ""


class Loss(Event, frozen=True, tag="loss"):
    """``count`` records of ``dimension`` did not arrive between ``since`` and ``ts``, for ``cause``."""

    dimension: Dimension
    cause: str
    count: int
    since: int


class BlindSpot(Event, frozen=True, tag="blind_spot"):
    """From ``ts`` on, something of this session cannot be seen: io_uring, a TLS library without probes…"""

    dimension: Dimension
    name: str
    process: ProcessKey | None = None
    detail: str = ""


class StreamGap(Event, frozen=True, tag="stream_gap"):
    """LLM traffic of ``process`` to ``host`` could not be followed: bytes missing, or not understood."""

    process: ProcessKey
    host: str
    cause: str
    missing_bytes: int = 0


AnyEvent = (
    SessionStart
    | SessionEnd
    | Tick
    | Fork
    | Exec
    | Delegated
    | ExecFailed
    | Exit
    | File
    | Reads
    | FileState
    | Net
    | Flow
    | Name
    | LlmCall
    | McpCall
    | A2aMessage
    | Intent
    | ToolResult
    | Claim
    | Mention
    | MentionsLost
    | Coverage
    | Loss
    | BlindSpot
    | StreamGap
)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyEvent)


def encode(event: Event) -> bytes:
    """The event as one line of JSON (no newline)."""
    return _encoder.encode(event)


def decode(line: bytes) -> AnyEvent:
    """The event of a line. Raises msgspec.ValidationError if it is none."""
    event: AnyEvent = _decoder.decode(line)
    return event
