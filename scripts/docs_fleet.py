"""Writes the tables of docs/fleet.md and docs/settings.md that have one source: settings, topics, metrics.

`python -m scripts.docs_fleet`; a test compares. A table stands between `<!-- NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

import msgspec

from polygraph.log.kafka.topics import topics
from polygraph.metrics import metrics
from polygraph.settings import SECTIONS, Kafka, variable

DOCS = Path(__file__).parents[1] / "docs"


def settings_table() -> str:
    """Every setting of the services."""
    rows = ["| setting | environment | default | |", "| --- | --- | --- | --- |"]
    for section, struct in SECTIONS.items():
        hints = get_type_hints(struct, include_extras=True)
        for field in msgspec.structs.fields(struct):
            kind = hints[field.name]
            assert get_origin(kind) is Annotated
            inner, *metas = get_args(kind)
            what = next(
                meta.description for meta in metas if isinstance(meta, msgspec.Meta) and meta.description
            )
            words = get_args(inner)
            choice = (
                f": {', '.join(f'`{word}`' for word in words)}" if words and isinstance(words[0], str) else ""
            )
            default = msgspec.json.encode(field.default).decode()
            rows.append(
                f"| `[{section}] {field.name}` | `{variable(section, field.name)}` | `{default}` | {what}{choice} |"
            )
    return "\n".join(rows)


def topics_table() -> str:
    """Every topic as it is made."""
    rows = ["| topic | holds | partitions | replicas | settings |", "| --- | --- | --- | --- | --- |"]
    for name, row in topics().items():
        settings = ", ".join(f"`{key}={setting.value}`" for key, setting in row.settings.items())
        rows.append(
            f"| `{Kafka().topic_prefix}{name}` | {row.what} | {row.partitions} | {row.replicas} | {settings} |"
        )
    return "\n".join(rows)


def metrics_table() -> str:
    """Every metric of the services."""
    rows = ["| metric | kind | what |", "| --- | --- | --- |"]
    for name, row in metrics().items():
        by = f" By {', '.join(f'`{label}`' for label in row.labels)}." if row.labels else ""
        rows.append(f"| `polygraph_{name}` | {row.kind} | {row.what}{by} |")
    return "\n".join(rows)


TABLES: Mapping[str, Callable[[], str]] = {
    "settings": settings_table,
    "topics": topics_table,
    "metrics": metrics_table,
}
PAGES = (DOCS / "fleet.md", DOCS / "settings.md")


def filled(page: str) -> str:
    """A page with its tables as they are now. Raises KeyError for a table that is none."""
    return re.sub(
        r"(<!-- (\w+) -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}{TABLES[found[2]]()}\n{found[3]}",
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(filled(path.read_text("utf-8")), "utf-8")
