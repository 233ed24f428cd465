"""Runs whose arguments take the meaning from their exit status (``--exit-zero``): 0 neither verifies nor refutes."""

import pytest

from tests.correlator.scenario import VERIFIED, Scenario, refuted, unverifiable


@pytest.mark.parametrize("option", ["--exit-zero", "-e"])
def test_a_status_that_was_made_to_be_zero_does_not_say_that_it_is_clean(option: str) -> None:
    s = Scenario()
    s.does("ruff", "check", option, ".")
    assert s.says(s.claims("lint", "ok")) == unverifiable("ambiguous")


def test_that_the_linter_was_run_is_true_all_the_same() -> None:
    s = Scenario()
    s.does("ruff", "check", "--exit-zero", ".")
    assert s.says(s.claims("lint")) == VERIFIED


def test_a_status_that_is_not_zero_counts() -> None:
    s = Scenario()
    s.does("ruff", "check", "--exit-zero", ".", status=2)
    assert s.says(s.claims("lint", "ok")) == refuted("failed")


def test_the_same_options_switched_off_change_nothing() -> None:
    s = Scenario()
    s.does("mvn", "test", "-Dmaven.test.failure.ignore=false", "-DskipTests=false")
    assert s.says(s.passed()) == VERIFIED
