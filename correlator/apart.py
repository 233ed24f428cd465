"""Were two runs of one tool pointed at different parts of a project? Pure text: what the command lines say."""

from __future__ import annotations

from correlator.paths import basename, normalise, under
from correlator.programs import programs
from polygraph.test_files import language_of
from polygraph.tools import Match


def apart(one: Match, other: Match, cwd: str) -> bool:
    """Whether nothing that ``one`` was pointed at is what ``other`` was pointed at, above it or below it.

    Both ran in ``cwd``. False where that is not certain: no place is named, or what a place means is not known.
    """
    name = one.tool.name
    if name != other.tool.name or not one.places or not other.places:
        return False
    if name in programs().places_are_patterns:
        return all(_name_others(left, right) for left in one.places for right in other.places)
    if name not in programs().places_are_paths | programs().places_are_packages:
        return False
    left, right = (_where(match, cwd) for match in (one, other))
    return not any(a == b or under(a, b) or under(b, a) for a in left for b in right)


def _where(match: Match, cwd: str) -> list[str]:
    """Absolute files and directories; a test in a file is the file, and ``./pkg/...`` the directory."""
    places = (place.partition("::")[0].removesuffix("...") for place in match.places)
    return [normalise(place or ".", cwd) for place in places]


def _name_others(one: str, other: str) -> bool:
    """Whether two patterns each name a test file, and no path that ends with one ends with the other."""
    if language_of(one) is None or language_of(other) is None:
        return False
    return not (basename(one).endswith(basename(other)) or basename(other).endswith(basename(one)))
