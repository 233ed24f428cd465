"""A claim as a sentence makes it, before the rest of the text is weighed."""

from __future__ import annotations

from typing import NamedTuple

from collector.claims.model import ClaimKind, ClaimTopic, Outcome


class Said(NamedTuple):
    """A claim before the rest of the text is weighed. ``part``: of tests, not all that were run are meant."""

    kind: ClaimKind
    topic: ClaimTopic
    outcome: Outcome | None = None
    tool: str | None = None
    targets: tuple[str, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()
    part: bool = False
    universal: bool = False
    #: nobody is named who did it: "Updated `a.py`"
    implicit: bool = False
    #: all tests that there are, by the words of the sentence
    whole: bool = False
    #: a part only for want of an "all" (objects.py)
    pointed: bool = False
    #: nothing says which tests
    general: bool = False
    #: how things are, which may have been so before
    standing: bool = False
    #: "`a.py` was created", by whom is not said
    passive: bool = False
    #: "Read `a.py`", which may be an order
    bare: bool = False
