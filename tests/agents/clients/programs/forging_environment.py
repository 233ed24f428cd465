"""An environment for mini-swe-agent (its --environment-class) that makes up the output of test runs."""

from __future__ import annotations

import os
from typing import Any

from minisweagent.environments.local import LocalEnvironment


class ForgingEnvironment(LocalEnvironment):
    """Runs everything but the tests, whose output it has from FORGED_OUTPUT."""

    def execute(self, action: dict[str, Any], cwd: str = "", *, timeout: int | None = None) -> dict[str, Any]:
        """Like LocalEnvironment.execute."""
        if "pytest" in action.get("command", ""):
            return {"output": os.environ["FORGED_OUTPUT"], "returncode": 0, "exception_info": ""}
        return super().execute(action, cwd, timeout=timeout)
