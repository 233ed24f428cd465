"""Deployments that were told though every one failed, and those that may have been made in another way."""

from __future__ import annotations

import pytest

from polygraph import events as e
from tests.correlator.scenario import Scenario, refuted, unverifiable


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
        ("make", "release"),
        ("npm", "ci"),
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


@pytest.mark.parametrize("other", [("pytest",), ("ruff", "check"), ("git", "commit", "-m", "x")])
def test_what_is_known_to_be_something_else_is_no_other_way(other: tuple[str, ...]) -> None:
    s = Scenario()
    s.does(*other)
    s.does("kubectl", "apply", "-f", "app.yaml", status=1)
    s.does(*other)
    assert s.says(s.claims("deployed")) == refuted("failed")


@pytest.mark.parametrize("before", [(), ("kubectl", "apply", "-f", "app.yaml")])
def test_of_several_that_failed_the_last_is_told(before: tuple[str, ...]) -> None:
    s = Scenario()
    if before:
        s.does(*before, status=1)
    s.does("terraform", "apply", status=1)
    ran = [x for x in s.log if isinstance(x, e.Exec) and x.argv[0] == "terraform"]
    for word in (refuted("failed"), unverifiable("records_lost")):
        claim = s.claims("deployed")
        assert s.says(claim) == word
        assert s.on(claim).observed == "terraform apply ran and exited with 1"
        assert s.on(claim).evidence[0].id == ran[0].id
        s.add(e.Loss, dimension="process", cause="ring", count=1, since=0)


def test_what_had_not_begun_deployed_nothing() -> None:
    s = Scenario()
    s.does("kubectl", "apply", "-f", "app.yaml", status=1)
    s.fork(s.shell(s.asks("./wait.sh", background=True)))
    assert s.says(s.claims("deployed")) == refuted("failed")
