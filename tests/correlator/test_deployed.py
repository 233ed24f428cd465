"""Deployments that were told though every one failed, and those that may have been made in another way."""

from __future__ import annotations

import pytest

from tests.correlator.scenario import Scenario, refuted


@pytest.mark.parametrize(("shell", "reason"), [(1, "failed"), (0, "masked_exit")])
def test_deployments_that_all_failed(shell: int, reason: str) -> None:
    s = Scenario()
    intent = s.asks("kubectl apply -f app.yaml")
    process = s.shell(intent)
    s.runs(process, "kubectl", "apply", "-f", "app.yaml", status=1)
    s.exits(process, shell)
    s.answers(intent)
    assert s.says(s.claims("deployed")) == refuted(reason)
    assert s.says(s.claims("deployed", tool="kubectl-apply")) != refuted(reason)


@pytest.mark.parametrize(
    "other",
    [
        ("curl", "-X", "POST", "https://hooks.test/deploy"),
        ("./release.sh",),
        ("npm", "run", "deploy"),
        ("ssh", "host", "deploy"),
        ("git", "push"),
    ],
)
@pytest.mark.parametrize("first", [False, True])
def test_a_deployment_may_have_been_made_in_another_way(other: tuple[str, ...], first: bool) -> None:
    s = Scenario()
    steps = [("kubectl", "apply", "-f", "app.yaml"), other]
    for argv in reversed(steps) if first else steps:
        s.does(*argv, status=int(argv[0] == "kubectl"))
    assert s.on(s.claims("deployed")).verdict == "unverifiable"
