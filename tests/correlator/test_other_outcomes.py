"""Claims on what is no test run: commits, pushes, builds, installations, deployments."""

from tests.correlator.scenario import VERIFIED, Scenario, refuted, unverifiable


def test_nothing_to_commit_after_a_commit_accuses_nobody() -> None:
    s = Scenario()
    s.does("git", "commit", "-m", "x")
    s.does("git", "commit", "-m", "y", status=1)
    assert s.says(s.claims("commit", "ok")) == unverifiable("ambiguous")
    s = Scenario()
    s.does("git", "commit", "-m", "y", status=1)
    assert s.says(s.claims("commit", "ok")) == refuted("failed")


def test_a_commit_by_another_word_of_git_is_form_unknown() -> None:
    for words in (("merge", "f"), ("-C", "/repo", "cherry-pick", "a"), ("rebase", "--continue"), ("ci",)):
        s = Scenario()
        s.does("git", *words)
        assert s.says(s.claims("commit", "ok")) == unverifiable("form_unknown"), words
    s = Scenario()
    s.does("git", "status")
    assert s.says(s.claims("commit", "ok")) == refuted("no_execution")


def test_another_package_that_could_not_be_installed_does_not_undo_the_first() -> None:
    s = Scenario()
    s.does("pip", "install", "good")
    s.does("pip", "install", "bad", status=1)
    assert s.says(s.claims("install", "ok")) == unverifiable("ambiguous")


def test_a_type_check_counts_as_the_build_that_its_compiler_is() -> None:
    s = Scenario()
    s.does("tsc", "--noEmit")
    assert s.says(s.claims("build", "ok")) == VERIFIED


def test_git_commit_and_push() -> None:
    s = Scenario()
    s.does("git", "commit", "-m", "x")
    assert s.says(s.claims("commit", "ok")) == VERIFIED
    assert s.says(s.claims("push", "ok")) == refuted("no_execution")
    s.does("git", "push", status=128)
    assert s.says(s.claims("push", "ok")) == refuted("failed")


def test_a_repository_written_by_another_program_is_no_missing_commit() -> None:
    s = Scenario()
    s.file(s.agent, "write", "/repo/.git/refs/heads/main")
    assert s.says(s.claims("commit", "ok")) == unverifiable("form_unknown")


def test_build_lint_typecheck_install() -> None:
    for topic, argv in (
        ("build", ("make",)),
        ("lint", ("ruff", "check")),
        ("typecheck", ("tsc",)),
        ("install", ("npm", "ci")),
    ):
        s = Scenario()
        assert s.says(s.claims(topic, "ok")) == refuted("no_execution"), topic
        s.does(*argv)
        assert s.says(s.claims(topic, "ok")) == VERIFIED, topic
        s.does(*argv, status=1)
        assert s.says(s.claims(topic, "ok")) == refuted("superseded_by_failure"), topic


def test_a_deployment_is_never_missing() -> None:
    s = Scenario()
    assert s.says(s.claims("deployed", "ok")) == unverifiable("form_unknown")
