"""How a client reaches the broker, from the settings; the same for all that read, send and ask."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from polygraph.errors import PolygraphError
from polygraph.settings import Kafka

_PROTOCOLS = {
    "plaintext": "PLAINTEXT",
    "tls": "SSL",
    "sasl_plaintext": "SASL_PLAINTEXT",
    "sasl_tls": "SASL_SSL",
}


class ConnectError(PolygraphError):
    """The settings of the broker do not fit together, or name a file that cannot be used."""


def arguments(settings: Kafka) -> dict[str, Any]:
    """Arguments of every client. Raises ConnectError."""
    made: dict[str, Any] = {
        "bootstrap_servers": list(settings.bootstrap),
        "client_id": "polygraph",
        "security_protocol": _PROTOCOLS[settings.security],
    }
    if settings.security.endswith("tls"):
        made["ssl_context"] = _tls(settings)
    if settings.security.startswith("sasl"):
        if not settings.sasl_user or not settings.sasl_password:
            raise ConnectError(
                f"[kafka] security is {settings.security}, and no user or password is set",
                "set POLYGRAPH_KAFKA_SASL_USER and POLYGRAPH_KAFKA_SASL_PASSWORD",
            )
        made |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_user,
            "sasl_plain_password": settings.sasl_password,
        }
    return made


def told(settings: Kafka) -> Mapping[str, str]:
    """What a message may say of it."""
    return {"bootstrap": ", ".join(settings.bootstrap), "security": settings.security}


def _tls(settings: Kafka) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        if settings.cert_file:
            context.load_cert_chain(settings.cert_file, settings.key_file or None)
    except OSError as error:  # ssl.SSLError is one
        raise ConnectError(
            f"the certificates of [kafka] cannot be used: {error}", "ca_file, cert_file and key_file are PEM"
        ) from error
    return context
