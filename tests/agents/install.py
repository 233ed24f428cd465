"""``python -m tests.agents.install [NAME…]``: installs the clients that are not there yet."""

from __future__ import annotations

import sys

from tests.agents.clients.store import ensure, pins

if __name__ == "__main__":
    for name in sys.argv[1:] or list(pins()):
        ensure(name)
