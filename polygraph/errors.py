"""The exceptions that a user may see. Each says what happened and where, and what to do about it.

PolygraphError
├── polygraph.log.store.StoreError      the store cannot be used
├── polygraph.log.spool.SpoolError      a spool cannot be used
├── polygraph.settings.SettingsError    a setting of a service is none
├── polygraph.log.kafka…                the broker, or its settings
├── polygraph.serving.ServingError      an address cannot be listened at
└── collector.kernel…                   the kernel side cannot be used (no root, no BTF, no object)
"""

from __future__ import annotations


class PolygraphError(Exception):
    """What happened and where (``str(error)``), and ``advice``: what the user can do."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice
