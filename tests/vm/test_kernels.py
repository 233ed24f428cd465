"""The kernels that polygraph promises: each is booted once and runs all of its suites, without a skip."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest

from tests.vm.lane import GUEST_SECONDS, GUESTS, PYTEST, VERSIONS, suites
from tests.vm.vm import REPOSITORY, VmResult

#: a guest may be the last of all in the lane
pytestmark = pytest.mark.timeout(len(VERSIONS) * (GUEST_SECONDS + 300))


class Boot(NamedTuple):
    version: str
    result: VmResult


@pytest.fixture(scope="module", params=VERSIONS)
def boot(request: pytest.FixtureRequest) -> Boot:
    version = str(request.param)
    return Boot(version, request.config.stash[GUESTS].result(version))


def _collected(version: str) -> list[str]:
    """The tests that a guest's suites hold, as dotted names, found on the host."""
    command = [*PYTEST, "--collect-only", *suites(version)]
    run = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return sorted(_dotted(line) for line in run.stdout.splitlines() if "::" in line)


def _dotted(node: str) -> str:
    node, bracket, parameters = node.partition("[")  # which may hold "::", an address for one
    path, *names = node.split("::")
    return ".".join([path.removesuffix(".py").replace("/", "."), *names]) + bracket + parameters


def _outcomes(junit: str) -> dict[str, str]:
    """Dotted test name -> "passed", or what junit has to say: failure, error, skipped."""
    cases = ET.fromstring(junit).iter("testcase")  # noqa: S314 - written by our own pytest
    return {
        f"{case.get('classname')}.{case.get('name')}": ",".join(
            child.tag for child in case if child.tag in {"failure", "error", "skipped"}
        )
        or "passed"
        for case in cases
    }


def test_guest_runs_the_kernel_that_was_asked_for(
    boot: Boot, report_used: Callable[[str, str], None]
) -> None:
    report_used("kernel", boot.result.kernel_release)
    assert boot.result.kernel_release.startswith(f"{boot.version}.")


def test_every_test_of_the_suites_ran_in_the_guest_and_passed(boot: Boot) -> None:
    assert boot.result.status == 0, boot.result.output
    collected = _collected(boot.version)
    assert collected
    assert _outcomes(boot.result.files["junit.xml"]) == dict.fromkeys(collected, "passed"), boot.result.output
