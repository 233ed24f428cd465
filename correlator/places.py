"""Which paths are a project's own content, told from caches, system directories and an agent's own state."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

import msgspec

from correlator.paths import basename, under
from polygraph.test_files import configures, is_in_folder, language_of, sets_up


class Places(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """data/places.toml."""

    components: frozenset[str]
    edited_too: frozenset[str]
    component_prefixes: tuple[str, ...]
    prefixes: tuple[str, ...]
    suffixes: tuple[str, ...]
    system: tuple[str, ...]
    temporary: tuple[str, ...]
    text: tuple[str, ...]
    prose: tuple[str, ...]
    metadata: frozenset[str]


@cache
def places() -> Places:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    raw = tomllib.loads(resources.files("correlator").joinpath("data/places.toml").read_text("utf-8"))
    return msgspec.convert(raw, Places)


def is_project_file(path: str, roots: tuple[str, ...]) -> bool:
    """Whether ``path`` is content of a project rooted at one of ``roots``, which a person would look at."""
    if is_system(path):
        return False
    return any(under(path, root) and is_content(path[len(root.rstrip("/")) + 1 :]) for root in roots)


def is_system(path: str) -> bool:
    """Whether ``path`` is in a directory of the system."""
    return any(path == top or path.startswith(top + "/") for top in places().system)


def is_content(path: str) -> bool:
    """Whether ``path`` is none of the caches, logs, lock files and states of tools, by its names alone."""
    table = places()
    inside = path.split("/")
    name = inside[-1]
    return (
        table.components.isdisjoint(inside)
        and not any(part.startswith(table.component_prefixes) for part in inside)
        and not name.startswith(table.prefixes)
        and not name.endswith(table.suffixes)
    )


def is_edited_too(path: str, roots: tuple[str, ...]) -> bool:
    """Whether it is a source in a folder of caches or dependencies, where nothing but a hand changes one."""
    table = places()
    usual = "/".join(part for part in path.split("/") if part not in table.edited_too)
    inside = any(under(path, root) for root in roots) and not is_system(path)
    return inside and usual != path and is_content(usual[1:]) and is_code(path)


def is_metadata(path: str) -> bool:
    """Whether ``path`` describes its project: runs open it, and most changes of it change no result of them."""
    name = basename(path).lower()
    stem, dot, end = name.partition(".")
    program = (dot + end).endswith(places().text) and not (dot + end).endswith(places().prose)
    return name in places().metadata or (stem in places().metadata and not program)


def is_of_tests(path: str) -> bool:
    """By its name, or by where it lies: what is in a directory of tests is none of the source."""
    return language_of(path) is not None or sets_up(path) or is_in_folder(path)


def is_setting(path: str) -> bool:
    """Whether a file sets a test runner up or configures it, by its name."""
    return sets_up(path) or configures(path)


def is_text(path: str) -> bool:
    """Whether a tool that shows the file gives its text as it is."""
    return basename(path).lower().endswith(places().text)


def is_code(path: str) -> bool:
    """Whether a file of this name is source of a program, by how its name ends."""
    name = basename(path).lower()
    return name.endswith(places().text) and not name.endswith(places().prose) and not is_metadata(path)


def is_temporary(path: str) -> bool:
    """Whether ``path`` lies in a directory for temporary files."""
    return any(under(path, top) for top in places().temporary)


def compiled_source(path: str) -> str | None:
    """The Python source that a compiled file stands for: ``d/__pycache__/m.cpython-311.pyc`` -> ``d/m.py``.

    A run that loads a compiled module opens only that (PEP 3147), so a change of its source is a change of
    what the run depends on.
    """
    directory, _, name = path.rpartition("/")
    if basename(directory) != "__pycache__" or ".pyc" not in name:
        return None
    return f"{directory.rpartition('/')[0]}/{name.split('.', 1)[0]}.py"
