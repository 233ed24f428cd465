"""What each field of an event may hold, at which content level: the one place where that is stated.

:data:`FIELDS` names a kind for every field of every event, verdict and finding; a field without a row fails a test.
:data:`KINDS` says what a kind may hold. ``polygraph content show`` prints it, docs/compliance.md refers to it, and
tests/collector/test_content_levels.py drives conversations through the pipeline and holds every field against it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

ContentLevel = Literal["off", "metadata", "redacted", "full"]

LEVELS: tuple[ContentLevel, ...] = ("off", "metadata", "redacted", "full")
DEFAULT_LEVEL: ContentLevel = "metadata"

#: one sentence for each level
MEANINGS: dict[ContentLevel, str] = {
    "off": "No LLM traffic is captured. What processes do is recorded; arguments that are free text by a keyed digest.",
    "metadata": "LLM traffic is parsed in memory. Typed facts, sizes and keyed digests are kept; no free text.",
    "redacted": "As metadata, and the sentences of claims, commands and arguments as text, without credentials.",
    "full": "As redacted, and the arguments and results of tool calls whole, without credentials.",
}

Kind = Literal["typed", "digest", "signature", "name", "path", "address", "argv", "text", "body"]


class KindRule(NamedTuple):
    """What a field of a kind holds, and from which level on it may hold free text (None: at none)."""

    holds: str
    #: free text that an agent, a model or a user wrote may stand in it from this level on
    free_text: ContentLevel | None


KINDS: dict[Kind, KindRule] = {
    "typed": KindRule("numbers, words of closed lists, identifiers that polygraph or the kernel made", None),
    "digest": KindRule(
        "a keyed digest (HMAC-SHA-256 with the secret of the store), or a count of bytes", None
    ),
    "signature": KindRule(
        "a keyed similarity signature, 64 bits and a digest of 32 (collector/similarity.py): it tells how alike two"
        " texts are, and no word of them to who has not the secret of the store",
        None,
    ),
    "name": KindRule(
        "a name that the other side chose, at most 256 characters; one with white space is free text",
        "redacted",
    ),
    "path": KindRule("a path, a URL or a host: what an effect is about", None),
    "address": KindRule("an address of the network", None),
    "argv": KindRule("program arguments; one with white space is free text", "redacted"),
    "text": KindRule("sentences of claims, commands", "redacted"),
    "body": KindRule("arguments and results of tool calls", "full"),
}

_EVENT: dict[str, Kind] = {"session": "typed", "ts": "typed", "seq": "typed"}


def _fields(typed: str, **others: str) -> dict[str, Kind]:
    """Kinds by field, from a list of names for each kind."""
    kinds: dict[str, Kind] = dict.fromkeys(typed.split(), "typed")
    for kind in KINDS:
        kinds.update(dict.fromkeys(others.get(kind, "").split(), kind))
    return kinds


#: class of polygraph/events/, polygraph/verdicts.py or polygraph/findings.py -> field -> kind
FIELDS: dict[str, dict[str, Kind]] = {
    "SessionStart": _EVENT
    | _fields("host boot kernel process origin wall_offset content schema", argv="argv", path="cwd"),
    "SessionEnd": _EVENT | _fields("live"),
    "Tick": _EVENT,
    "Fork": _EVENT | _fields("process child"),
    "Exec": _EVENT
    | _fields(
        "process parent argv_bytes argv_truncated uid gid dev ino cgroup container namespaces traceparent",
        path="path cwd script comm",
        argv="argv",
        digest="command_digest",
    ),
    "Delegated": _EVENT | _fields("process by through evidence grade"),
    "ExecFailed": _EVENT | _fields("process errno", path="path"),
    "Exit": _EVENT | _fields("process status signal core"),
    "File": _EVENT
    | _fields(
        "process op errno resolved dev ino flags mode count first_ts sensitive deleted memfd path_truncated entry left",
        path="path new_path",
    ),
    "Reads": _EVENT | _fields("rows"),
    "FileState": _EVENT
    | _fields("intent exists size mtime dev ino matches tests", path="path", digest="digest"),
    "Net": _EVENT
    | _fields(
        "process op family protocol port local_port errno socket peer_pid",
        path="address local_address",  # of family unix a path
    ),
    "Flow": _EVENT
    | _fields("process socket port family sent received established closed", address="address"),
    "Name": _EVENT | _fields("process source", name="name", address="addresses"),
    "Wait": _EVENT | _fields("process kind on object theirs count total longest first_ts last_ts"),
    "LlmCall": _EVENT
    | _fields(
        "call process api request_ts status streamed input_tokens output_tokens cached_tokens request_bytes"
        " response_bytes complete gap_bytes traceparent transport fate attempt tls"
        " follows new_bytes",
        signature="new_signature answer_signature",
        name="host model response_id finish",
    ),
    "McpCall": _EVENT
    | _fields(
        "process side transport request_ts method arguments_size result_size is_error complete peer socket",
        name="tool",
        digest="id_digest arguments_digest result_digest",
    ),
    "A2aMessage": _EVENT
    | _fields("process side request_ts is_error complete", name="method message_id task_id context_id state"),
    "Execution": _fields(
        "tool purpose conditional masked background builtin feeds", argv="program args", path="cwd"
    ),
    "ExpectedFile": _fields("op size marks", path="path new_path", digest="digest"),
    "Intent": _EVENT
    | _fields(
        "intent call process kind executions files parsed parse_note hand_off background",
        name="call_id tool hosts",
        digest="digest command_digest",
        signature="signature",
        text="text",  # the command; arguments of other tools stand in it from ``full`` on only
    ),
    "ToolResult": _EVENT
    | _fields(
        "intent call process size is_error reported_status", name="call_id", digest="digest", body="text"
    ),
    "Claim": _EVENT
    | _fields(
        "claim source kind topic outcome process call intent tool counts tells extracted_by said_ts",
        name="call_id",
        path="targets",
        digest="digest",
        text="text",
    ),
    "Mention": _EVENT | _fields("what origin said_ts intent call whole", path="value"),
    "MentionsLost": _EVENT | _fields("count cause"),
    "Coverage": _EVENT | _fields("dimension state canary blind detail"),
    "Loss": _EVENT | _fields("dimension cause count since"),
    "BlindSpot": _EVENT | _fields("dimension name process", path="detail"),
    "StreamGap": _EVENT | _fields("process cause missing_bytes", name="host"),
    # --- verdicts: made of events alone ---
    "Subject": _fields(
        "kind id call source claim_kind topic", name="tool call_id", digest="digest", text="text"
    ),
    "Evidence": _fields("id ts", argv="fact"),
    "Assumed": _fields("verdict reason"),
    "DimensionCoverage": _fields("state canary lost blind"),
    "Window": _fields("open close"),
    "Verdict": _fields(
        "id session ts subject verdict reason grade evidence coverage window traceparent rule version assumed",
        argv="declared observed",
    ),
    # --- findings: made of events alone ---
    "Step": _fields("ts id grade", argv="what"),
    "Finding": _fields(
        "id session ts detector kind evidence window path figures version",
        argv="summary",
    ),
}
