"""The pages say what the code does, and every link leads somewhere."""

import re
from pathlib import Path

import pytest

from console.words import words
from polygraph.commands.doctor import ALWAYS_BLIND
from polygraph.log.store import default_root
from polygraph.reasons import DIMENSIONS
from scripts.docs import EVENTS, MODULES, PAGE, events_page

ROOT = Path(__file__).parents[1]
SOURCES = ("polygraph", "collector", "correlator", "exporters", "enforcer", "console")
TREE = (*SOURCES, "bench", "bpf", "deploy", "docs", "scripts", "tests")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_READ = re.compile(r'environ(?:ment)?(?:\.get\(|\[)"([A-Z_]+)"')
_NAMED = re.compile(r'"((?:OTEL|POLYGRAPH|XDG)_[A-Z_]+)"')


def pages() -> list[Path]:
    """The tree's own pages, none of what was installed or built in it."""
    folders = [path for path in ROOT.iterdir() if path.is_dir() and path.name in TREE]
    return [*ROOT.glob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))]


def test_the_page_of_events_is_the_generated_one() -> None:
    assert set(MODULES) == set(EVENTS.glob("*.py"))
    assert PAGE.read_text("utf-8") == events_page(MODULES), "run: python scripts/docs.py"


def test_every_link_leads_to_a_file() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages()
        for target in _LINK.findall(page.read_text("utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_environment_variable_that_is_read_is_documented() -> None:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    read = {
        name
        for folder in SOURCES
        for path in (ROOT / folder).rglob("*.py")
        for pattern in (_READ, _NAMED)
        for name in pattern.findall(path.read_text("utf-8"))
    }
    assert {"POLYGRAPH_HOME", "XDG_STATE_HOME", "NO_COLOR"} <= read
    assert [name for name in sorted(read) if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"POLYGRAPH_HOME": "/a"}, "/a"),
        ({"POLYGRAPH_HOME": "/a", "XDG_STATE_HOME": "/b"}, "/a"),
        ({"XDG_STATE_HOME": "/b"}, "/b/polygraph"),
        ({"HOME": "/c"}, "/c/.local/state/polygraph"),
    ],
)
def test_the_store_is_where_the_page_says(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("POLYGRAPH_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert default_root() == Path(expected)


def test_every_dimension_and_blind_spot_is_explained_and_has_words() -> None:
    page = (ROOT / "docs" / "coverage.md").read_text("utf-8")
    assert set(ALWAYS_BLIND) <= words().blind.keys()
    assert [name for name in (*DIMENSIONS, *words().blind) if f"`{name}`" not in page] == []
