"""``python -m tests.agents.lock [NAME…]``: locks of the clients, made anew from clients/versions.toml.

Needs ``uv`` on PATH or beside this Python. The locks hold versions and digests, and no address.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.agents.clients.store import Pin, ensure, lock_of, node_folder, npm, pins


def _python(pin: Pin, target: Path) -> None:
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    subprocess.run(
        [
            uv, "pip", "compile", "-", "--quiet", "--generate-hashes", "--no-header", "--no-annotate",
            "--no-emit-index-url", "--no-emit-find-links", "--python-version", "3.11",
            "--python-platform", "x86_64-manylinux_2_28", "--output-file", str(target),
        ],
        input="\n".join(pin.requirements), text=True, check=True,
    )  # fmt: skip


def _node(name: str, pin: Pin, target: Path) -> None:
    ensure("node")
    target.mkdir(exist_ok=True)
    wanted = dict(requirement.rsplit("@", 1) for requirement in pin.requirements)
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "package.json"
        package.write_text(json.dumps({"name": f"client-{name}", "private": True, "dependencies": wanted}))
        env = os.environ | {"PATH": f"{node_folder()}:{os.environ.get('PATH', '')}"}
        subprocess.run(
            [
                *npm(), "install", "--package-lock-only", "--no-audit", "--no-fund",
                "--ignore-scripts", "--omit-lockfile-registry-resolved",
            ],
            cwd=folder, env=env, check=True,
        )  # fmt: skip
        for file in ("package.json", "package-lock.json"):
            shutil.copy(Path(folder) / file, target)


def main(names: list[str]) -> None:
    """Locks ``names``, or all."""
    for name in names or list(pins()):
        pin = pins()[name]
        if pin.kind == "python":
            _python(pin, lock_of(name))
        else:
            _node(name, pin, lock_of(name))
        print(f"locked {name} {pin.version}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
