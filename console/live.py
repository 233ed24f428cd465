"""The live view of ``polygraph run``: a line for each verdict and finding as it comes, a summary at the end.

It writes whole lines to one stream (stderr) and nothing else: no cursor movement, no erasing, so that what
the agent prints on the same terminal stays as it is. Rich is imported only for the summary's table.
"""

from __future__ import annotations

from typing import NamedTuple, TextIO

from console.tables import Terminal, counts_line, more_line, verdict_table
from console.words import (
    ASCII_GLYPHS,
    GLYPHS,
    counted,
    duration,
    gaps,
    in_reading_order,
    reason_sentence,
    relative,
)
from polygraph.events import SessionStart
from polygraph.findings import Finding
from polygraph.text import printable
from polygraph.verdicts import Verdict

_SGR = {"verified": "32", "refuted": "1;31", "unverifiable": "33", "finding": "1;35", "note": "2"}
#: characters of one live line's halves
_LINE = 160
#: rows of the summary's table
_ROWS = 40
#: lines of the summary's findings
_FINDINGS = 20
#: lines of the summary's coverage
_NOTES = 20


class Summary(NamedTuple):
    """What the run knows at its end, beside its verdicts.

    ``took`` in ns; ``report``: path of the page, if one was written.
    """

    session: str
    status: int | None
    took: int
    report: str | None = None
    #: coverage in words, beyond what the verdicts carry: "3 events did not reach the disk"
    notes: tuple[str, ...] = ()
    #: why there is no verdict, said where there is none
    silence: str = ""


class LiveView:
    """Writes to ``stream``; a stream that fails is left alone from then on (``muted``), the run goes on."""

    def __init__(self, stream: TextIO, color: bool | None = None) -> None:
        """``color`` None: as the stream and NO_COLOR say."""
        self._stream = stream
        self._terminal = Terminal.of(stream, color)
        self._verdicts: dict[str, Verdict] = {}
        #: the last word on each, by id
        self._findings: dict[str, Finding] = {}
        self._folders: dict[str, str] = {}
        self.muted = False

    def began(self, start: SessionStart) -> None:
        """From now on the session's paths are shown as they are from the folder that it began in."""
        self._folders[start.session] = start.cwd

    def verdict(self, verdict: Verdict) -> None:
        """Shows a verdict, once for each id (delivery is at least once)."""
        if verdict.id in self._verdicts:
            return
        self._verdicts[verdict.id] = verdict
        glyphs = GLYPHS if self._terminal.fancy else ASCII_GLYPHS
        mark = self._paint(f"{glyphs[verdict.verdict]} {verdict.verdict}", verdict.verdict)
        line = f"{mark}  {self._near(verdict.session, verdict.declared)}"
        if verdict.verdict == "refuted":
            line += f" {self._arrow()} {self._near(verdict.session, verdict.observed)}"
        if verdict.reason is not None:
            line += "  " + self._paint(f"({printable(verdict.reason, 40)})", "note")
        self._write(f"polygraph {line}\n")

    def finding(self, finding: Finding) -> None:
        """Shows a finding when it is said first; that it went on is shown at the end."""
        known = finding.id in self._findings
        self._findings[finding.id] = finding
        if not known:
            self._write(f"polygraph {self._found(finding)}\n")

    def note(self, text: str) -> None:
        """Shows one line that is no verdict: "watching pid 12", "report: …"."""
        self._write("polygraph " + self._paint(f"{self._bullet()} {printable(text, 1000)}", "note") + "\n")

    def finish(self, summary: Summary) -> None:
        """Shows the table, the counts, the coverage and where the report is."""
        rows = in_reading_order(self._verdicts.values())
        self._write("\n")
        if rows:
            self._write(verdict_table(rows[:_ROWS], self._terminal, self._folders))
            if len(rows) > _ROWS:
                self._write(more_line(len(rows) - _ROWS, "verdict"))
            self._write("\n")
        took = f"session {printable(summary.session, 40)}, {duration(summary.took)}"
        ended = "" if summary.status is None else f", exit status {summary.status}"
        self._write(f"{counts_line(rows) if rows else 'no verdicts'}  ({took}{ended})\n")
        if not rows and summary.silence:
            self._write(f"  {printable(summary.silence, 600)}\n")
        for reason in sorted({row.reason for row in rows[:_ROWS] if row.reason is not None}):
            self._write(self._paint(f"  {printable(reason, 40)}: {reason_sentence(reason)}", "note") + "\n")
        if self._findings:
            self._write(f"{counted(len(self._findings), 'finding')}:\n")
            for finding in list(self._findings.values())[:_FINDINGS]:
                self._write(f"  {self._found(finding)}\n")
            if len(self._findings) > _FINDINGS:
                self._write(f"  {more_line(len(self._findings) - _FINDINGS, 'finding', 'findings')}")
        found = {sentence for row in rows for sentence in gaps(row.coverage)}
        notes = [*sorted(found), *summary.notes]
        if notes:
            self._write("not everything could be seen:\n")
            for sentence in notes[:_NOTES]:
                self._write(f"  {self._bullet()} {printable(sentence, 300)}\n")
            if len(notes) > _NOTES:
                self._write(f"  {self._bullet()} and {len(notes) - _NOTES} more in the report\n")
        elif rows:
            self._write("coverage was complete for every verdict\n")
        if summary.report is not None:
            self._write(f"report: {printable(summary.report, 4096)}\n")

    def _found(self, finding: Finding) -> str:
        mark = GLYPHS["finding"] if self._terminal.fancy else ASCII_GLYPHS["finding"]
        name = self._paint(f"{mark} {printable(finding.detector, 40)}", "finding")
        kind = self._paint(f"({printable(finding.kind, 40)})", "note")
        return f"{name}  {self._near(finding.session, finding.summary)}  {kind}"

    def _near(self, session: str, text: str) -> str:
        folder = printable(self._folders.get(session, ""))
        return printable(relative(printable(text), folder), _LINE)

    def _arrow(self) -> str:
        return "→" if self._terminal.fancy else "->"

    def _bullet(self) -> str:
        return "·" if self._terminal.fancy else "-"

    def _paint(self, text: str, kind: str) -> str:
        return f"\x1b[{_SGR[kind]}m{text}\x1b[0m" if self._terminal.color else text

    def _write(self, text: str) -> None:
        if self.muted:
            return
        if not self._terminal.fancy:
            text = text.encode("ascii", "backslashreplace").decode()
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # closed, broken pipe, terminal gone: the agent must not suffer
            self.muted = True
