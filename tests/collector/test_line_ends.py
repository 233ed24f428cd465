"""What a file tool may do to content without having written something else."""

from __future__ import annotations

import pytest

from collector.file_states import FileLook
from polygraph.events import FileState
from tests.agents.script import ToolCall
from tests.collector.said import Talk

WRITE = ToolCall("write_file", {"path": "/repo/a.py", "content": "x = 1\ny = 2\nz = 3\n"})


@pytest.mark.parametrize(
    ("held", "matches"),
    [
        (b"x = 1\ny = 2\nz = 3\n", True),
        (b"x = 1\ny = 2\nz = 3", True),
        (b"x = 1\r\ny = 2\r\nz = 3\r\n", True),
        (b"\xef\xbb\xbfx = 1\ny = 2\nz = 3\n", True),
        (b"x = 1\ny = 2\nz = 4\n", False),
        (b"x = 1\n\ny = 2\nz = 3\n", False),
        (b"", False),
    ],
)
def test_line_ends_and_a_mark_are_no_other_content(held: bytes, matches: bool) -> None:
    talk = Talk(files={"/repo/a.py": FileLook(True, len(held), 5, 2, 3, held)})
    talk.works(WRITE, "ok")
    (state,) = (event for event in talk.log() if isinstance(event, FileState))
    assert state.matches is matches
