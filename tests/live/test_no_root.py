"""Without the right to load programs: one message with what to do, and the command is not started."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from collector.kernel import source
from collector.kernel.libbpf import KernelError

#: keeps the user id, drops every capability
_POWERLESS = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all")


@pytest.mark.parametrize("arguments", [("run", "--", "touch"), ("watch", "--pid", "1"), ("doctor",)])
def test_what_is_missing_is_said_in_two_lines(arguments: tuple[str, ...], tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    if arguments[0] == "run":
        arguments = (*arguments, str(touched))
    done = subprocess.run(
        [*_POWERLESS, sys.executable, "-m", "polygraph", *arguments],
        env={**os.environ, "POLYGRAPH_HOME": str(tmp_path / "store")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "run as root, or with CAP_BPF" in said, said
    assert "Traceback" not in said and len(said.splitlines()) == 2
    assert not touched.exists()


def test_tracefs_that_may_not_be_entered_is_a_lack_of_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user who is not root meets first: a folder that is there and cannot be asked."""

    def refuse(_self: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(KernelError) as caught:
        source._mount_tracefs()
    assert "/sys/kernel/tracing" in str(caught.value) and "run as root" in caught.value.advice
