"""A correlator that ends by SIGKILL at a step of its own choice: ``python -m tests.kafka.killed STEP COUNT``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from polygraph import logs
from polygraph.commands.correlator import serve
from polygraph.settings import load


def main(step: str, count: int) -> None:
    """Ends at the ``count``-th time that it comes to ``step``."""
    left = count

    def at(now: str) -> None:
        nonlocal left
        left -= now == step
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    logs.configure()
    asyncio.run(serve(load(None, os.environ), at))


main(sys.argv[1], int(sys.argv[2]))
