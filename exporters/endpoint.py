"""Where spans go: an OTLP endpoint out of a URL, and what is sent along with every request."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from polygraph.errors import PolygraphError
from polygraph.text import printable

_ADVICE = "write grpc://HOST:4317 or http://HOST:4318 (https:// and grpcs:// for TLS)"
_GRPC_PORT = 4317
_TRACES_PATH = "/v1/traces"
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?")
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
_SECRET = re.compile(r"(?<=//)[^/]*@|[?#].*", re.DOTALL)
_HEADER = re.compile(r"[a-z0-9_.!#$%&'*+^`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")


class Endpoint(NamedTuple):
    """A receiver. ``path`` is that of the traces over HTTP, empty for gRPC. ``host`` has no brackets."""

    protocol: Literal["grpc", "http"]
    host: str
    port: int
    path: str
    tls: bool

    @property
    def address(self) -> str:
        """``host:port``, brackets around an IPv6 host."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Receiver(NamedTuple):
    """An endpoint, and what the operator's environment adds. ``authorities``: PEM; None: the system's."""

    endpoint: Endpoint
    headers: dict[str, str]
    authorities: str | None


def receiver(url: str, environ: Mapping[str, str]) -> Receiver:
    """All that sending needs, checked: raises PolygraphError on anything that could not work.

    Quick: it loads nothing of OpenTelemetry, so a command can check its URL before it starts.
    """
    return Receiver(parse(url), headers(environ), authorities(environ))


def parse(url: str) -> Endpoint:
    """The endpoint that ``url`` names.

    ``grpc``, ``grpcs`` and any scheme with port 4317 mean OTLP/gRPC; ``http`` and ``https`` else OTLP/HTTP,
    with ``/v1/traces`` after the path when it is not there yet (the OTLP exporter specification's base URL).
    Raises PolygraphError when it is no such URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _malformed(url, str(error)) from error
    host = parts.hostname or ""
    if any(char <= " " or char == "\x7f" for char in url):
        raise _malformed(url, "it has spaces or control characters")
    if parts.scheme not in ("grpc", "grpcs", "http", "https"):
        raise _malformed(url, "it does not begin with grpc:// or http://")
    if parts.username is not None or parts.password is not None:
        raise PolygraphError(
            "the OTLP endpoint holds credentials",
            "put them into OTEL_EXPORTER_OTLP_HEADERS, which is not shown",
        )
    if not _HOST.fullmatch(host):
        raise _malformed(url, "it names no host")
    if parts.query or parts.fragment or not _PATH.fullmatch(parts.path):
        raise _malformed(url, "there is more than a path after the host")
    if port == 0:
        raise _malformed(url, "port 0 is none")
    tls = parts.scheme in ("grpcs", "https")
    if parts.scheme in ("grpc", "grpcs") or port == _GRPC_PORT:
        if parts.path not in ("", "/"):
            raise _malformed(url, "OTLP over gRPC has no path")
        return Endpoint("grpc", host, port or _GRPC_PORT, "", tls)
    path = parts.path.rstrip("/")
    if not path.endswith(_TRACES_PATH):
        path += _TRACES_PATH
    return Endpoint("http", host, port or (443 if tls else 80), path, tls)


def headers(environ: Mapping[str, str]) -> dict[str, str]:
    """Headers that the operator set in OpenTelemetry's variables. Raises PolygraphError on a bad one.

    ``key=value,key2=value2``, percent-encoded. The SDK's own reader logs a malformed header, secret and all,
    and goes on without it.
    """
    for name in ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"):
        if environ.get(name):
            pairs = [item.partition("=") for item in environ[name].split(",") if item.strip()]
            found = {unquote(key).strip().lower(): unquote(value).strip() for key, _, value in pairs}
            for key, value in found.items():
                if not _HEADER.fullmatch(key) or not _HEADER_VALUE.fullmatch(value):
                    raise PolygraphError(f"a header in {name} is malformed", "write key=value,key2=value2")
            return found
    return {}


def authorities(environ: Mapping[str, str]) -> str | None:
    """The certificates (PEM) that the operator wants trusted instead of the system's, if any.

    Raises PolygraphError when the file cannot be read or holds none.
    """
    for name in ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"):
        path = environ.get(name)
        if path:
            try:
                pem = Path(path).read_text("utf-8")
                ssl.create_default_context(cadata=pem or "none")
            except OSError as error:
                raise PolygraphError(
                    f"cannot read {printable(path)}: {error.strerror}", f"see {name}"
                ) from error
            except ValueError as error:
                raise PolygraphError(f"{printable(path)} holds no certificates", f"see {name}") from error
            return pem
    return None


def _malformed(url: str, why: str) -> PolygraphError:
    shown = _SECRET.sub("…", url[:500])  # credentials and tokens stay out of messages
    return PolygraphError(f"{printable(shown, 200)} is no OTLP endpoint: {why}", _ADVICE)
