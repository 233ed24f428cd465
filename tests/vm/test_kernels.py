"""The kernels that polygraph promises: each is booted once and runs all of the suites, without a skip."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest

from tests.vm.vm import REPOSITORY, RESULTS_VARIABLE, VmResult, run_in_kernel

VERSIONS = ("6.1", "6.12", "7.3")
SUITES = (
    "tests/vm/guest_checks.py",
    *(
        f"tests/live/test_{name}.py"
        for name in (
            *("file", "flood", "network", "no_root", "plain", "process", "refused", "run"),
            *("tls", "tls_libraries", "uring", "watch"),
        )
    ),
)
"""Tests that must pass in every guest: all that meet the kernel. Those that start a command for each case are the
host's to show, half a minute each where a processor is emulated, and so are those that build a program first."""

_PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
#: s for all suites and for one test. An idle machine of two cores takes a quarter of it.
_GUEST_SECONDS = 1200
_TEST_SECONDS = 400

pytestmark = pytest.mark.timeout(_GUEST_SECONDS + 300)


class Boot(NamedTuple):
    version: str
    result: VmResult


@pytest.fixture(scope="module", autouse=True)
def probe() -> None:
    """The BPF object that guest_checks.py loads, for the guests to find in the repository's folder."""
    target = REPOSITORY / "build" / "vm" / "probe.bpf.o"
    target.parent.mkdir(parents=True, exist_ok=True)
    source = REPOSITORY / "tests" / "vm" / "probe.bpf.c"
    compiler = ["clang", "-target", "bpf", "-g", "-O2", "-Wall", "-Werror", "-c"]
    subprocess.run([*compiler, str(source), "-o", str(target)], check=True)


@pytest.fixture(scope="module", params=VERSIONS)
def boot(request: pytest.FixtureRequest) -> Boot:
    version = str(request.param)
    command = [
        *_PYTEST,
        "-o",
        f"timeout={_TEST_SECONDS}",
        f"--junitxml=${RESULTS_VARIABLE}/junit.xml",
        *SUITES,
    ]
    return Boot(version, run_in_kernel(version, command, _GUEST_SECONDS))


@pytest.fixture(scope="module")
def collected() -> list[str]:
    """The tests that the suites hold, as dotted names, found on the host."""
    run = subprocess.run(
        [*_PYTEST, "--collect-only", *SUITES], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
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


def test_every_test_of_the_suites_ran_in_the_guest_and_passed(boot: Boot, collected: list[str]) -> None:
    assert boot.result.status == 0, boot.result.output
    assert collected
    assert _outcomes(boot.result.files["junit.xml"]) == dict.fromkeys(collected, "passed"), boot.result.output
