"""The command in what agents put around it."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.wrappers import unwrapped, wrappers

CLAUDE = (
    "source /root/.claude/shell-snapshots/snapshot-bash-1.sh 2>/dev/null || true && \\builtin shopt -u extglob"
    " 2>/dev/null || true && {{ \\builtin unalias -- 'which'; }} >/dev/null 2>&1 || true"
    " && eval {}{} && pwd -P >| /tmp/claude-ed63-cwd"
)
GEMINI = (
    "shopt -u promptvars nullglob extglob; _bgpids_file=/tmp/gemini-shell-v5/bgpids.tmp\n(\n"
    "  trap 'jobs -p > \"$_bgpids_file\"' EXIT\n{}\n)\n__code=$?\nexit $__code"
)
COMMANDS = (
    "make",
    "python -m pytest -q",
    "echo 'it''s' \"$HOME\" | grep -c x && exit 1",
    "cat <<'EOF'\n&& eval 'x' < /dev/null && pwd -P >| /tmp/y\nEOF",
    "eval 'ls' < /dev/null",
)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("redirected", [" < /dev/null", " \\< /dev/null", ""])
def test_claude_codes(command: str, redirected: str) -> None:
    assert unwrapped(CLAUDE.format(shlex.quote(command), redirected)) == command


@pytest.mark.parametrize("command", COMMANDS)
def test_gemini_clis(command: str) -> None:
    assert unwrapped(GEMINI.format(command)) == command


@pytest.mark.parametrize(
    "script",
    [
        "make",
        "eval 'make'",
        "eval 'make' < /dev/null",
        "eval make it && pwd -P >| /tmp/x",
        'eval "$X" && pwd -P >| /tmp/x',
        "eval 'make' && pwd -P >| /tmp/x; rm -r /",
        GEMINI.format("make") + "\n",
        "(\nmake\n)\n__code=$?\nexit $__code",
        "",
    ],
)
def test_what_is_no_wrapper_is_the_command(script: str) -> None:
    assert unwrapped(script) == script


@given(st.text(alphabet="ab '\"\\\n$&|<>;", min_size=1))
def test_any_command_comes_out_as_it_went_in(command: str) -> None:
    assert unwrapped(CLAUDE.format(shlex.quote(command), " < /dev/null")) == command
    assert unwrapped(GEMINI.format(command)) == command


def test_each_row_says_with_which_versions_it_was_seen() -> None:
    assert all(row.seen for row in wrappers().values())
