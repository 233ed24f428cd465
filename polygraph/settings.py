"""Settings of what runs as a service: one TOML file, and the environment over it.

The structs here are the only table of them: docs/settings.md is tested against it. A key that is not here is an error,
with the name that was probably meant. The environment's name of ``[kafka] ca_file`` is ``POLYGRAPH_KAFKA_CA_FILE``;
lists are separated by commas. A password belongs into the environment, or into a file of its own.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from polygraph.errors import PolygraphError

Port = Annotated[str, Meta(pattern=r"^(\[[0-9a-fA-F:.]+\]|[^:\s]+):[0-9]{1,5}$")]


class SettingsError(PolygraphError):
    """A setting that is none, or has a value that it cannot have."""


class Kafka(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The broker."""

    bootstrap: Annotated[tuple[Port, ...], Meta(description="brokers to ask first, `host:port`")] = (
        "localhost:9092",
    )
    security: Annotated[
        Literal["plaintext", "tls", "sasl_plaintext", "sasl_tls"],
        Meta(description="how a connection is protected, and whether with a user name"),
    ] = "plaintext"
    ca_file: Annotated[str, Meta(description="PEM file of the authorities to trust; empty: the system's")] = (
        ""
    )
    cert_file: Annotated[
        str, Meta(description="PEM file of our own certificate, where brokers ask for it")
    ] = ""
    key_file: Annotated[str, Meta(description="PEM file of its key")] = ""
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], Meta(description="how the user is proven")
    ] = "SCRAM-SHA-512"
    sasl_user: Annotated[str, Meta(description="user name")] = ""
    sasl_password: Annotated[
        str, Meta(description="password; better in the environment than in the file")
    ] = ""
    topic_prefix: Annotated[
        str, Meta(pattern=r"^[a-zA-Z0-9._-]*$", description="what the names of all topics begin with")
    ] = "polygraph."


class Collector(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`polygraph collector`."""

    auto: Annotated[bool, Meta(description="observe every process that connects to a known LLM API")] = True
    exe: Annotated[
        tuple[str, ...],
        Meta(description="observe every process that executes a file that matches one of these"),
    ] = ()
    cgroup: Annotated[
        tuple[str, ...], Meta(description="observe the tasks of these cgroups (v2), now and later")
    ] = ()
    spool: Annotated[
        str, Meta(min_length=1, description="folder in which records wait until the broker has them")
    ] = "/var/lib/polygraph/spool"
    spool_mb: Annotated[
        int, Meta(ge=1, description="its room in megabytes (10^6 bytes); then the oldest records are dropped")
    ] = 1000
    listen: Annotated[
        str, Meta(description="`host:port` of `/healthz`, `/readyz` and `/metrics`; empty: none")
    ] = "127.0.0.1:9463"


class Correlator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`polygraph correlator`."""

    group: Annotated[str, Meta(min_length=1, description="consumer group")] = "polygraph-correlator"
    instance: Annotated[
        str,
        Meta(
            description="a name that this member keeps over restarts, so that none moves partitions; empty: none"
        ),
    ] = ""
    commit_seconds: Annotated[
        float, Meta(gt=0, le=60, description="how often it is noted how far it came")
    ] = 1.0
    idle_hours: Annotated[
        float,
        Meta(gt=0, description="a session of which nothing came for so long is over: its collector is gone"),
    ] = 24.0
    listen: Annotated[
        str, Meta(description="`host:port` of `/healthz`, `/readyz` and `/metrics`; empty: none")
    ] = "127.0.0.1:9464"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of them, by section."""

    kafka: Kafka = Kafka()
    collector: Collector = Collector()
    correlator: Correlator = Correlator()


#: by the name that begins a section
SECTIONS: Mapping[str, type[msgspec.Struct]] = {
    "kafka": Kafka,
    "collector": Collector,
    "correlator": Correlator,
}
PREFIX = "POLYGRAPH_"


def variable(section: str, name: str) -> str:
    """The environment's name of a setting."""
    return f"{PREFIX}{section}_{name}".upper()


def load(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """The settings of the file, if one is given, with the environment's over them. Raises SettingsError."""
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text("utf-8")) if path is not None else {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is no TOML: {error}") from error
    for section, struct in SECTIONS.items():
        table = raw.get(section, {})
        if not isinstance(table, dict):
            raise SettingsError(f"{path}: {section} is a section: [{section}]")
        for field in msgspec.structs.fields(struct):
            value = environment.get(variable(section, field.name))
            if value is not None:
                table[field.name] = _of_text(struct, field.name, value)
        if table:
            raw[section] = table
    try:
        return msgspec.convert(raw, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path or 'environment'}: {error}", _meant(raw)) from error


def _of_text(struct: type[msgspec.Struct], name: str, value: str) -> object:
    """What an environment variable says, in the type of its setting; msgspec tells what is wrong with it."""
    kind = get_type_hints(struct)[name]
    if kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            return value
    if kind is bool:
        return {"true": True, "false": False}.get(value.lower(), value)
    if getattr(kind, "__origin__", None) is tuple:
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _meant(raw: Mapping[str, Any]) -> str:
    """Which name was probably meant by the first one that is none."""
    known = {
        section: [field.name for field in msgspec.structs.fields(struct)]
        for section, struct in SECTIONS.items()
    }
    for section, table in raw.items():
        if section not in known:
            close = difflib.get_close_matches(section, known, 1)
            return f"did you mean [{close[0]}]?" if close else f"sections: {', '.join(known)}"
        for name in table if isinstance(table, dict) else ():
            if name not in known[section]:
                close = difflib.get_close_matches(name, known[section], 1)
                return (
                    f"did you mean {close[0]}?" if close else f"of [{section}]: {', '.join(known[section])}"
                )
    return ""
