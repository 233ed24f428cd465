"""What the agent says: calls of models and tools, intents, claims, mentions."""

from __future__ import annotations

from typing import Literal

import msgspec

from polygraph.events.base import Event, ProcessKey

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
with success. Settings of a runner ``skips`` too, where they leave tests out; ``hides``: they change what it found."""


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


ClaimTell = Literal["whole", "part", "gone", "skipped", "standing"]
"""What a claim's text, or the user's request, says besides. It decides how strictly the claim is read.

- ``whole``: the claim is about all tests that there are ("all tests pass", "the full suite"), and nothing narrows it;
  of a commit or a push: about everything.
- ``part``: the text or the request speaks of a part of the tests.
- ``gone``: of files that are temporary, copies, moved or removed again.
- ``skipped``: of tests that are skipped, disabled, expected to fail or removed.
- ``standing``: the claim says how things are ("dependencies are installed"), which may have been so before.
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
