"""The second opinion as the commands see it: whether it is on, and the line that says so.

It is the one thing that sends words of a conversation off the host, so two settings must name it: its endpoint, and a
content level that was set on purpose. At ``off`` nothing is asked, whatever is set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from polygraph.content import ContentLevel

if TYPE_CHECKING:
    from collector.second_opinion import Asker, Endpoint

ENDPOINT = "POLYGRAPH_CLAIMS_ENDPOINT"


class Opinion(NamedTuple):
    """``endpoint`` None: nobody is asked, and ``why`` says why although one is set; empty where none is."""

    endpoint: Endpoint | None = None
    why: str = ""

    @property
    def told(self) -> str | None:
        """Where to and whom, as the audit log has it."""
        return self.endpoint.told if self.endpoint is not None else None


def opinion(content: ContentLevel, source: str, environ: Mapping[str, str]) -> Opinion:
    """What holds for a capture at ``content``, which comes from ``source``. Raises PolygraphError on a bad setting."""
    if not environ.get(ENDPOINT):
        return Opinion()  # nothing of it is even imported
    from collector.second_opinion import endpoint_of

    endpoint = endpoint_of(environ)
    if content == "off":
        return Opinion(None, "at level off nothing is read that could be asked about")
    if content == "metadata" and source == "default":
        return Opinion(None, "level metadata is only the default; to send sentences all the same, set it")
    return Opinion(endpoint)


@contextmanager
def asking(held: Opinion) -> Iterator[Asker | None]:
    """Who asks, until the capture ends."""
    if held.endpoint is None:
        yield None
        return
    from collector.second_opinion import Asker

    asker = Asker(held.endpoint)
    try:
        yield asker
    finally:
        asker.close()


def state(held: Opinion) -> str:
    """One line for ``content show`` and for who watches."""
    if held.endpoint is not None:
        return (
            f"sentences of a model's answers that the rules do not understand go to {held.endpoint.told}, without"
            " credentials"
        )
    return f"nobody ({ENDPOINT} is set; {held.why})" if held.why else "nobody"
