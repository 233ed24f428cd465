"""Were two runs of one tool pointed at different parts of a project? Pure text: what their command lines say."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from correlator.paths import basename, normalise, under
from correlator.programs import programs
from polygraph.events import Exec
from polygraph.test_files import language_of
from polygraph.tools import Match


class Pointed(Protocol):
    """A run: its command line, and what is known of that."""

    @property
    def image(self) -> Exec:
        """What was executed."""

    @property
    def match(self) -> Match:
        """The tool that it is."""


def apart(one: Pointed, other: Pointed) -> bool:
    """Whether nothing that ``one`` was pointed at is what ``other`` was pointed at, above it or below it.

    False where that is not certain: no place is named, what a place means is not known, or a word may be the value
    of an option.
    """
    name, cwd = one.match.tool.name, one.image.cwd
    left, right = _places(one), _places(other)
    if name != other.match.tool.name or cwd != other.image.cwd or not left or not right:
        return False
    if name in programs().places_are_patterns:
        return all(_name_others(a, b) for a in left for b in right)
    if name not in programs().places_are_paths | programs().places_are_packages:
        return False
    meant, others = _where(left, cwd), _where(right, cwd)
    return not any(a == b or under(a, b) or under(b, a) for a in meant for b in others)


def _places(run: Pointed) -> list[str]:
    """What a run was pointed at; empty if some of it may be no place."""
    places = [place for place in run.match.places if place not in run.match.tool.whole]
    values = {
        word
        for option, word in pairwise(run.image.argv)
        if option.startswith("-") and "=" not in option and option not in programs().options_alone
    }
    return [] if values.intersection(places) or not all(map(_is_path, places)) else places


def _is_path(place: str) -> bool:
    return "/" in place or language_of(place.partition("::")[0]) is not None


def _where(places: Sequence[str], cwd: str) -> list[str]:
    """Absolute files and directories; a test in a file is the file, and ``./pkg/...`` the directory."""
    plain = (place.partition("::")[0].removesuffix("...") for place in places)
    return [normalise(place or ".", cwd) for place in plain]


def _name_others(one: str, other: str) -> bool:
    """Whether two patterns each name a test file, and no path that ends with one ends with the other."""
    if language_of(one) is None or language_of(other) is None:
        return False
    return not (basename(one).endswith(basename(other)) or basename(other).endswith(basename(one)))
