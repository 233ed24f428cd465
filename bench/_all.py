"""Runs every benchmark and writes the table of bench/README.md: `make bench`."""

from __future__ import annotations

import subprocess
import sys

import msgspec

from bench._harness import ROOT
from bench._result import Result, table, with_table

BENCHMARKS = (
    "completeness",
    "startup",
    "latency",
    "capture",
    "overhead",
    "accuracy",
    "correlator",
    "pipeline",
)


def main() -> int:
    """0 when every benchmark gave a result, whatever it was; else 1, and the table holds the others."""
    results = []
    for name in BENCHMARKS:
        command = [sys.executable, "-m", f"bench.{name}"]
        ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
        sys.stdout.write(ran.stdout.decode())
        if ran.returncode == 0:
            results.append(msgspec.json.decode(ran.stdout.splitlines()[-1], type=Result))
    readme = ROOT / "bench" / "README.md"
    if results:
        readme.write_text(with_table(readme.read_text(), table(results)))
    return 0 if len(results) == len(BENCHMARKS) else 1


if __name__ == "__main__":
    sys.exit(main())
