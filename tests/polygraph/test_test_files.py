"""polygraph/test_files.py: names of files that hold tests."""

import pytest

from polygraph.test_files import (
    configures,
    defined_in,
    is_in_folder,
    is_opened,
    is_searched,
    language_of,
    sets_up,
    table,
)


@pytest.mark.parametrize(
    ("language", "name"), [(lang, name) for lang, row in table().languages.items() for name in row.examples]
)
def test_each_row_knows_its_examples(language: str, name: str) -> None:
    assert language_of(f"/repo/tests/{name}") == language


@pytest.mark.parametrize(
    "name",
    ["calc.py", "conftest.py", "test_utils.py", "helpers_test.go", "test.log", "latest.py", "test_.pyc"],
)
def test_other_names_are_not_known_to_hold_tests(name: str) -> None:
    assert language_of(name) is None


def test_only_interpreters_open_what_they_test() -> None:
    assert is_opened("python") and not is_opened("go")


@pytest.mark.parametrize(("name", "searched"), [("tests", True), (".venv", False), ("node_modules", False)])
def test_other_peoples_tests_are_not_looked_for(name: str, searched: bool) -> None:
    assert is_searched(name) is searched


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/repo/conftest.py", (True, False, False)),
        ("tests/sitecustomize.py", (True, False, True)),
        ("/repo/.pytest.ini", (False, True, False)),
        ("vitest.config.mts", (False, True, False)),
        ("/repo/vite.config.ts", (False, False, False)),
        ("pyproject.toml.bak", (False, False, False)),
        ("/repo/__tests__/calc.js", (False, False, True)),
        ("/repo/latest/tests", (False, False, False)),
    ],
)
def test_what_sets_a_runner_up_configures_it_or_lies_beside_tests(
    path: str, found: tuple[bool, bool, bool]
) -> None:
    assert (sets_up(path), configures(path), is_in_folder(path)) == found


PYTHON = b"""
def test_adds() -> None: ...
async def test_waits(): ...
class TestIt:
    def test_it(self): ...
    def helper(self): ...
# def test_was(): ...
def testing_is_good(): ...
"""

DEFINES = (
    ("test_calc.py", PYTHON, 4),
    ("calc.test.js", b"test('a', () => {});\n  it.only('b', f);\n// it('c')\nit.skip('d')\nedit('e')\n", 2),
    ("calc_spec.rb", b"describe 'x' do\n  it 'adds' do\n  end\n  def test_b\n", 2),
    ("CalcTest.php", b"  public function testAdds(): void\n  private function sum()\n", 1),
    ("calc_test.exs", b'  test "adds" do\n', 1),
    ("calc.bats", b'@test "adds" {\n  run add 1 2\n}\n@test "zero" {\n', 2),
    ("calc_test.go", b"func TestAdd(t *testing.T) {\nfunc testHelper() {\nfunc Testing() {\n", 1),
    ("calc.py", PYTHON, 0),
    ("test_calc.py", b"\xff\xfe\x00", 0),
)


@pytest.mark.parametrize(("name", "content", "number"), DEFINES)
def test_tests_are_counted_by_their_lines(name: str, content: bytes, number: int) -> None:
    assert defined_in(f"/repo/{name}", content) == number


def test_each_language_has_a_line_that_defines_a_test() -> None:
    assert {language_of(name) for name, _, number in DEFINES if number} == set(table().languages)
