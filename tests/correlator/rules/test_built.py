"""A compiled test depends on what its compiler had read, whenever that was."""

from __future__ import annotations

import pytest

from polygraph import events as e
from tests.correlator.scenario import STEP, VERIFIED, Scenario, refuted, unverifiable

CALC, CHECKS, OTHER = "/repo/calc.c", "/repo/checks.c", "/repo/app.c"
PROGRAM = "/repo/build/checks"
STALE, OPEN = refuted("stale"), unverifiable("ambiguous")


def compiles(s: Scenario, make: str | None, source: str, at: str = "/usr/bin") -> str:
    """``cc -c``: a driver, and what it starts."""
    made = source.replace(".c", ".o").replace("/repo/", "/repo/build/")
    driver = s.program(make, f"{at}/cc", "-c", source)
    inner = s.program(driver, f"{at}/cc1", source)
    s.reads(inner, source)
    s.exits(inner)
    assembler = s.program(driver, f"{at}/as", "-o", made)
    s.file(assembler, "create", made)
    s.exits(assembler)
    s.exits(driver)
    return made


def links(s: Scenario, make: str | None, *objects: str, to: str = PROGRAM) -> None:
    driver = s.program(make, "/usr/bin/cc", "-o", to)
    linker = s.program(driver, "/usr/bin/ld", "-o", to)
    s.reads(linker, *objects)
    s.file(linker, "create", to)
    s.exits(linker)
    s.exits(driver)


def built(*sources: str, at: str = "/usr/bin") -> Scenario:
    """Each source is compiled, and the test's program is linked of those that are not ``app.c``."""
    s = Scenario()
    s.call()
    make = s.program(None, "make")
    objects = [compiles(s, make, source, at) for source in sources]
    links(s, make, *(one for one in objects if "app" not in one))
    s.exits(make)
    return s


def ran(s: Scenario, program: str = PROGRAM) -> Scenario:
    ctest = s.program(None, "ctest", "--test-dir", "build")
    s.exits(s.program(ctest, program))
    s.exits(ctest)
    return s


@pytest.mark.parametrize(("changed", "word"), [(CALC, STALE), (CHECKS, STALE), (OTHER, OPEN)])
def test_what_an_earlier_command_had_compiled(changed: str, word: tuple[str, str]) -> None:
    s = ran(built(CALC, CHECKS, OTHER))
    assert s.says(s.passed()) == VERIFIED
    s.writes(changed)
    assert s.says(s.passed()) == word


@pytest.mark.parametrize("changed", [CALC, CHECKS])
def test_each_of_several_programs_depends_on_what_it_was_built_of(changed: str) -> None:
    s = Scenario()
    s.call()
    programs = {CALC: "/repo/build/calc", CHECKS: "/repo/build/checks"}
    for source, program in programs.items():
        links(s, None, compiles(s, None, source), to=program)
    ctest = s.program(None, "ctest", "--test-dir", "build")
    for program in programs.values():
        s.runs(ctest, program)
    s.exits(ctest)
    s.writes(changed)
    assert s.says(s.passed()) == STALE


def test_what_was_compiled_after_the_change_was_tested() -> None:
    s = built(CALC, CHECKS)
    s.writes(CALC)
    make = s.program(None, "make")
    links(s, make, compiles(s, make, CALC), CHECKS.replace(".c", ".o").replace("/repo/", "/repo/build/"))
    s.exits(make)
    assert ran(s).says(s.passed()) == VERIFIED
    s.writes(CHECKS)
    assert s.says(s.passed()) == STALE, "of an object that was there, the compiler that made it counts"


def test_what_was_changed_before_the_run_and_never_compiled_was_not_tested() -> None:
    s = built(CALC, CHECKS)
    s.writes(CALC)
    assert ran(s).says(s.passed()) != STALE, "nothing was changed since the run: this is no question of time"


@pytest.mark.parametrize(
    ("at", "program"),
    [("/repo/tools", PROGRAM), ("/usr/bin", "/repo/build/other"), ("/usr/bin", "/usr/bin/checks")],
)
def test_who_did_not_compile_it_says_nothing(at: str, program: str) -> None:
    s = ran(built(CALC, CHECKS, at=at), program)
    s.writes(CALC)
    assert s.says(s.passed()) == OPEN


def test_a_program_that_was_removed_since_was_made_by_somebody_else() -> None:
    s = built(CALC, CHECKS)
    s.file(s.agent, "unlink", PROGRAM)
    s = ran(s)
    s.writes(CALC)
    assert s.says(s.passed()) == OPEN


def test_a_long_chain_of_files_is_followed_so_far() -> None:
    """What reads what it writes, as a program can make us believe, is asked once."""
    s = built(CALC)
    loop = s.program(None, "/usr/bin/ld")
    s.reads(loop, PROGRAM)
    s.add(e.File, process=loop, op="write", path=PROGRAM, dev=1, ino=s.inode(PROGRAM))
    s.exits(loop)
    s = ran(s)
    s.writes(CALC)
    assert s.says(s.passed()) == OPEN


@pytest.mark.parametrize(("more", "word"), [(61, STALE), (62, OPEN)])
def test_of_a_program_of_many_objects_so_many_are_followed(more: int, word: tuple[str, str]) -> None:
    """The program and 63 objects: these, ``calc.o`` and ``checks.o``."""
    s = ran(built(CALC, CHECKS, *(f"/repo/part{number}.c" for number in range(more))))
    s.writes(CALC)
    assert s.says(s.passed()) == word


def test_an_object_that_nobody_compiled_hides_no_other() -> None:
    s = Scenario()
    s.call()
    copied = "/repo/build/vendor.o"
    cp = s.program(None, "cp", "/opt/vendor.o", copied)
    s.file(cp, "create", copied)
    s.exits(cp)
    make = s.program(None, "make")
    links(s, make, compiles(s, make, CALC), copied)
    s.exits(make)
    s = ran(s)
    s.writes(CALC)
    assert s.says(s.passed()) == STALE


@pytest.mark.parametrize(("before", "word"), [(0, STALE), (1, OPEN)])
def test_who_writes_a_program_in_the_moment_in_which_it_runs_did_not_make_it(
    before: int, word: tuple[str, str]
) -> None:
    s = built(CALC, CHECKS)
    ctest = s.program(None, "ctest", "--test-dir", "build")
    program = s.fork(ctest)
    s.file(s.agent, "write", PROGRAM, ts=s.now + STEP - before)
    s.execs(program, PROGRAM, ts=s.now)
    s.exits(program)
    s.exits(ctest)
    s.writes(CALC)
    assert s.says(s.passed()) == word
