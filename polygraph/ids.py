"""Identifiers: each a function of its input, so that a replay gives the same ids (design rule 5)."""

from __future__ import annotations

import hashlib
import hmac


def session_id(host: str, boot: str, pid: int, start: int) -> str:
    """Id of the session rooted at process ``pid``, started ``start`` ns after boot ``boot`` of ``host``."""
    return _short("session", host, boot, str(pid), str(start))


def derived_id(prefix: str, *parts: str) -> str:
    """``prefix`` + a digest of ``parts``: ``derived_id("i", session, call_id)``."""
    return prefix + _short(prefix, *parts)


def keyed_digest(key: bytes, content: bytes) -> str:
    """HMAC-SHA-256 of content, 32 hex digits: equal contents join, without the content."""
    return hmac.new(key, content, hashlib.sha256).hexdigest()[:32]


def _short(*parts: str) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        raw = part.encode("utf-8", "surrogateescape")
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.hexdigest()
