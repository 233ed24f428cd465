"""The Go program of the tests (tests/live/gotls), built with a toolchain of this machine."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE / "gotls"


class Go:
    """A toolchain, and what it built in ``folder``."""

    def __init__(self, folder: Path) -> None:
        wanted = re.search(r"^go (\S+)$", (SOURCE / "go.mod").read_text(), re.MULTILINE)
        assert wanted is not None
        find = [str(HERE.parents[1] / "scripts/go.sh"), wanted[1]]
        found = subprocess.run(find, check=True, capture_output=True, text=True, timeout=300)
        self._go = found.stdout.strip()
        self._env = os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false", "CGO_ENABLED": "0"}
        self._folder = folder

    @property
    def version(self) -> str:
        """As it names itself."""
        return self.run("env", "GOVERSION").strip()

    def run(self, *arguments: str) -> str:
        """What a command of the toolchain prints."""
        argv = [self._go, *arguments]
        return subprocess.run(
            argv, check=True, capture_output=True, text=True, cwd=SOURCE, env=self._env, timeout=600
        ).stdout

    def build(self, *flags: str) -> Path:
        """The program, built with ``flags`` unless it is there."""
        made = self._folder / re.sub(r"\W+", "-", f"program {' '.join(flags)}")
        if not made.exists():
            self.run("build", *flags, "-o", str(made), ".")
        return made
