"""Which effects are dangerous: persistence, credentials, the observer itself, and places that say nothing.

data/dangers.toml, typed. Pure: a path is judged by its text, as the kernel resolved it.
"""

from __future__ import annotations

import tomllib
from functools import cache, lru_cache
from importlib import resources

import msgspec


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Paths of one meaning."""

    #: what such a file is, after "which is" or "that says"
    says: str = ""
    ends: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    under: tuple[str, ...] = ()
    but: tuple[str, ...] = ()

    def has(self, path: str) -> bool:
        """Whether ``path`` is one of them."""
        single, several = _folders(self.holds)
        found = (
            path.endswith(self.ends)
            or path.startswith(self.under)
            or (bool(single) and not single.isdisjoint(path.split("/")[1:-1]))
            or any(part in path for part in several)
        )
        return found and not (self.but and path.endswith(self.but))


class Owned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who reads a credential without anybody having to ask for it: see the head of the table."""

    owners: frozenset[str]
    libraries: bool = False
    sent: bool = False
    project: bool = False


class ObserverProgram(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command line that ends or detaches the observer."""

    program: str
    words: tuple[str, ...]


class Dangers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """data/dangers.toml."""

    persistence: dict[str, Place]
    test_control: dict[str, Place]
    observer: dict[str, Place]
    observer_programs: tuple[ObserverProgram, ...]
    #: by the name of the rule of sensitive paths
    credentials: dict[str, Owned]
    not_secret: Place
    ordinary: Place


@cache
def _folders(holds: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Those that are one folder, which are looked up, and the rest."""
    single = {part.strip("/") for part in holds if part.count("/") == 2 and part[0] == part[-1] == "/"}
    return frozenset(single), tuple(part for part in holds if part.strip("/") not in single)


@cache
def dangers() -> Dangers:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    raw = tomllib.loads(resources.files("polygraph").joinpath("data/dangers.toml").read_text("utf-8"))
    return msgspec.convert(raw, Dangers)


def place_of(path: str, places: dict[str, Place]) -> tuple[str, Place] | None:
    """The first of ``places`` that has ``path``, with its name."""
    return next(((name, place) for name, place in places.items() if place.has(path)), None)


@lru_cache(maxsize=4096)  # a file is made, written and renamed: its path comes several times in a row
def has_a_meaning(path: str) -> bool:
    """Whether ``path`` may be one of persistence, test_control or observer: a quick no for nearly all."""
    return _any_place().has(path)


@cache
def _any_place() -> Place:
    """All places that have a meaning, in one; what some leave out is not left out."""
    table = dangers()
    places = (*table.persistence.values(), *table.test_control.values(), *table.observer.values())
    return Place(
        ends=tuple(end for place in places for end in place.ends),
        holds=tuple(part for place in places for part in place.holds),
        under=tuple(folder for place in places for folder in place.under),
    )


def is_inside(path: str, folder: str) -> bool:
    """Whether ``path`` lies in the workspace ``folder``. The root and a home of its own are no workspace's bounds."""
    folder = folder.rstrip("/")
    return bool(folder) and path.startswith(folder + "/")


def is_telling(path: str, workspace: str) -> bool:
    """Whether a write to ``path`` may matter to a detector: outside the workspace, or a place that has a meaning."""
    table = dangers()
    if is_inside(path, workspace):
        if not _may_be_a_place(path, len(workspace.rstrip("/"))):
            return False
    elif not table.ordinary.has(path):
        return True
    return any(place_of(path, places) for places in (table.persistence, table.test_control, table.observer))


def _may_be_a_place(path: str, start: int) -> bool:
    """A quick no for most files of a project, git's own among them: they are written often."""
    if "/.git/" in path:
        return "/.git/hooks/" in path
    return path.find("/.", start) >= 0 or path.rpartition("/")[2] in _names()


@cache
def _names() -> frozenset[str]:
    table = dangers()
    places = (*table.persistence.values(), *table.test_control.values(), *table.observer.values())
    return frozenset(end.rpartition("/")[2] for place in places for end in place.ends)
