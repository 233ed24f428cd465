"""What of a fact is told at a content level: without credentials, and free text only where the level allows it.

The one place through which everything that a process, a model or a server chose leaves the collector. Pure;
polygraph/content.py has the table of fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from collector.claims.model import ClaimDraft
from collector.free_text import is_free_text, untold, untold_argv
from collector.intents.tools import ExpectedFileDraft
from collector.intents.weakening import marks_of
from collector.redact import redact, redact_argv, redact_path
from collector.similarity import Signer
from collector.wrappers import unwrapped
from polygraph.content import ContentLevel
from polygraph.events import (
    AnyEvent,
    BlindSpot,
    Claim,
    ClaimTell,
    Coverage,
    EditMark,
    Exec,
    ExecFailed,
    Execution,
    ExpectedFile,
    File,
    Intent,
    Name,
    Net,
    ProcessKey,
    SessionStart,
)
from polygraph.ids import derived_id, keyed_digest
from polygraph.text import to_bytes

#: most characters of a name that the model or its server chose: model, tool, finish reason
_MAX_NAME = 256

_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash", "busybox"})


class Telling:
    """Content ``level`` and the secret ``key`` of the store, for digests."""

    def __init__(self, level: ContentLevel, key: bytes) -> None:
        self._level = level
        self._with_text = level in ("redacted", "full")
        self._key = key
        self._signer = Signer(key)

    def digest(self, content: bytes) -> str:
        """The keyed digest of content: equal contents join, without the content."""
        return keyed_digest(self._key, content)

    def signature(self, *texts: str) -> str:
        """The keyed similarity signature of what texts say together: near-duplicates join."""
        return self._signer.sign(*texts)

    def start(self, event: SessionStart) -> SessionStart:
        """The beginning of a session."""
        program = event.argv[0] if event.argv[:1] and event.argv[0].startswith("/") else ""
        return msgspec.structs.replace(event, argv=self.argv(event.argv, program), cwd=redact_path(event.cwd))

    def effect(self, event: AnyEvent) -> AnyEvent:
        """An effect, coverage or loss event from the kernel side."""
        if isinstance(event, Exec):
            event = msgspec.structs.replace(
                event,
                command_digest=self._command_digest(event.argv),
                argv=self.argv(event.argv, event.path),
                path=redact_path(event.path),
                script=redact_path(event.script) if event.script is not None else None,
                cwd=redact_path(event.cwd),
            )
        elif isinstance(event, File):
            path = redact_path(event.path)
            new_path = redact_path(event.new_path) if event.new_path is not None else None
            if path != event.path or new_path != event.new_path:
                event = msgspec.structs.replace(event, path=path, new_path=new_path)
        elif isinstance(event, Name):
            event = msgspec.structs.replace(event, name=self.name(event.name))
        elif isinstance(event, ExecFailed):
            event = msgspec.structs.replace(event, path=redact_path(event.path))
        elif isinstance(event, Net):
            if event.family == "unix":
                event = msgspec.structs.replace(
                    event, address=redact_path(event.address), local_address=redact_path(event.local_address)
                )
        elif isinstance(event, BlindSpot | Coverage):
            event = msgspec.structs.replace(event, detail=redact(event.detail))
        return event

    def expected(self, draft: ExpectedFileDraft) -> ExpectedFile:
        """A file that a tool call should touch."""
        content = draft.content
        return ExpectedFile(
            path=redact_path(draft.path),
            op=draft.op,
            new_path=redact_path(draft.new_path) if draft.new_path is not None else None,
            digest=self.digest(content) if content is not None else None,
            size=len(content) if content is not None else None,
            marks=draft.marks if content is None else _marks(draft.new_path or draft.path, content),
        )

    def claim(
        self,
        draft: ClaimDraft,
        session: str,
        call: str,
        ts: int,
        process: ProcessKey,
        *,
        intent: Intent | None = None,
        tells: tuple[ClaimTell, ...] = (),
        said_ts: int = 0,
    ) -> Claim:
        """A claim of the model in the answer of ``call``, or, if there is one, of the result of ``intent``.

        ``said_ts`` is set of a guess.
        """
        digest = self.digest(draft.text.encode())
        source: Literal["tool_result", "model"] = "tool_result" if intent else "model"
        by, of = "guess" if said_ts else source, intent.intent if intent else ""
        return Claim(
            session=session,
            ts=ts,
            claim=derived_id("k", session, call, by, of, draft.topic, digest),
            source=source,
            kind=draft.kind,
            topic=draft.topic,
            outcome=draft.outcome,
            process=process,
            call=call,
            intent=intent.intent if intent else None,
            call_id=intent.call_id if intent else None,
            tool=draft.tool,
            targets=tuple(map(target, draft.targets)),
            counts=draft.counts,
            tells=tells,
            digest=digest,
            text=self.text(draft.text),
            extracted_by="model" if said_ts else "rules",
            said_ts=said_ts,
        )

    def _command_digest(self, argv: Sequence[str]) -> str | None:
        """Digest of the command in TEXT when argv is ``sh -c TEXT …`` (flags may be joined, as in ``-lc``)."""
        if len(argv) < 3 or argv[0].rsplit("/", 1)[-1].lstrip("-") not in _SHELLS:
            return None
        for position, argument in enumerate(argv[1:-1], 1):
            if argument.startswith("-") and not argument.startswith("--") and "c" in argument:
                return self.digest(to_bytes(unwrapped(argv[position + 1])))
            if not argument.startswith(("-", "+")):
                return None
        return None

    def text(self, text: str) -> str | None:
        """Sentences and commands: from level ``redacted`` on."""
        return redact(text) if text and self._with_text else None

    def body(self, text: str) -> str | None:
        """Arguments and results whole, file contents among them: at level ``full`` only."""
        return redact(text) if text and self._level == "full" else None

    def argv(self, argv: tuple[str, ...], path: str) -> tuple[str, ...]:
        """Arguments without credentials; those that are free text from level ``redacted`` on."""
        return redact_argv(argv if self._with_text else untold_argv(argv, self._key, path))

    def execution(self, execution: Execution) -> Execution:
        """A program that a tool call should start."""
        told = self.argv((execution.program, *execution.args), execution.program)
        return msgspec.structs.replace(
            execution,
            program=told[0],
            args=told[1:],
            cwd=redact_path(execution.cwd) if execution.cwd is not None else None,
        )

    def name(self, text: str) -> str:
        """A name that the other side chose. One that is text is told as text is."""
        return note(text if self._with_text or not is_free_text(text) else untold(text, self._key))

    def ident(self, ident: str) -> str:
        """A call's id as its server chose it; what is too long to be one, or text, is told by its digest."""
        if len(ident) > _MAX_NAME or is_free_text(ident):
            return self.digest(ident.encode())
        return redact(ident)


def _marks(path: str, content: bytes) -> tuple[EditMark, ...]:
    return marks_of(path, "", content.decode("utf-8", "replace"))


def note(text: str) -> str:
    """Words of the collector's own, in which a name may stand that the other side chose."""
    return redact(text)[:_MAX_NAME]


def target(text: str) -> str:
    """What a claim is about: mostly a path, which must join with the one that the kernel saw."""
    return redact(text) if any(map(str.isspace, text)) else redact_path(text)
