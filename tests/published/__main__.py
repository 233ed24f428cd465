"""What becomes of a published capture: ``python -m tests.published ssl_data_only.json``; 1 if anyone is accused."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from polygraph.reasons import DIMENSIONS
from tests.published.capture import exchanges, load
from tests.published.history import whole
from tests.published.session import honest, judge, log_of


def main(path: str) -> int:
    """Prints the verdicts on the capture as it is, and on its conversation made whole, before an honest kernel."""
    messages = load(Path(path))
    accused = 0
    for name, log in (
        ("as captured", log_of(exchanges(messages))),
        ("as captured, an honest kernel", honest(log_of(exchanges(messages), DIMENSIONS))),
        ("whole, an honest kernel", honest(log_of(whole(messages), DIMENSIONS))),
    ):
        said = judge(log)
        sys.stdout.write(f"{name}: {dict(Counter((v.verdict, v.reason) for v in said.verdicts))}\n")
        accused += sum(v.verdict == "refuted" for v in said.verdicts) + len(said.findings)
    return int(accused > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
