"""A similarity signature of a text: near-duplicates are found by it, and it does not tell the text. Pure.

``"<16 hexadecimal digits>-<8>"``. The first part is a 64-bit SimHash (Charikar, "Similarity estimation
techniques from rounding algorithms", STOC 2002): the fewer of its bits differ, the more of the parts of two
texts are the same. The second is a digest of what must be the same for two texts to mean the same, however
alike their words are: numbers, code in fences or tags, the length of a text of which only both ends are read.

Both are made of keyed hashes, so nobody can try a text against them who has not the store's secret. What they
do tell without it is how alike two texts of one store are. Who has the secret can try texts, as with any keyed
digest, and sees besides when a guess comes close.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b

#: characters at each end of a text that are read
MAX_END = 8 << 10
#: a text of more characters is compared line by line, a shorter one by pairs of words
_SHORT = 2 << 10
#: characters of one piece of a line
_PIECE = 256

#: what differs between two runs of the same thing and says nothing: addresses, dates, times of day, durations
#: (each begins with a digit and no word before it: so the search leaps from digit to digit)
_PASSING = re.compile(
    r"\d(?<!\w.)(?:(?<=0)x[0-9a-fA-F]{4,}|\d{3}-\d\d-\d\d\b|\d?:\d\d(?::\d\d(?:[.,]\d{1,9})?)?\b"
    r"|\d{0,9}(?:\.\d{1,9})? ?(?:ns|us|µs|ms|s|secs?|seconds?|m|min|minutes?)\b)",
    re.ASCII,
)
_NUMBER = re.compile(r"\d\d*", re.ASCII)
_TAG = re.compile(r"<[a-z][a-z_]{0,40}>", re.ASCII)
_FENCE = "```"

#: one bit of each byte of a 64-byte digest: 64 counters side by side, of which none can overflow below 256 parts
_LANES = int.from_bytes(b"\1" * 64)
_ROUND = 255
_BITS = 64


class Signer:
    """Signatures under the secret ``key`` of the store."""

    def __init__(self, key: bytes) -> None:
        # BLAKE2b takes keys of up to 64 bytes; with a person of their own these are no keyed digests of anything else.
        self._parts = blake2b(key=key[:64], person=b"polygraph-sim", digest_size=64)
        self._exact = blake2b(key=key[:64], person=b"polygraph-same", digest_size=4)

    def sign(self, *texts: str) -> str:
        """The signature of what the texts say together; empty where they say nothing."""
        whole = "\n".join(text for text in texts if text)
        if not whole or whole.isspace():
            return ""
        cut = len(whole) > 2 * MAX_END
        text = f"{whole[:MAX_END]}\n{whole[-MAX_END:]}" if cut else whole
        told = _PASSING.sub("~", text)
        exact = self._exact.copy()
        for piece in _exactly(told, len(whole) if cut else 0):
            exact.update(_bytes(piece))
        return f"{self._similar(_parts_of(told)):016x}-{exact.hexdigest()}"

    def _similar(self, parts: Iterable[str]) -> int:
        """For each bit: whether more than half of the parts' hashes have it."""
        counts = [0] * _BITS
        lanes = number = 0
        for number, part in enumerate(parts, 1):
            hashed = self._parts.copy()
            hashed.update(_bytes(part))
            lanes += int.from_bytes(hashed.digest()) & _LANES
            if number % _ROUND == 0:
                counts = _added(counts, lanes)
                lanes = 0
        counts = _added(counts, lanes)
        return sum(1 << bit for bit, count in enumerate(counts) if 2 * count > number)


def _added(counts: list[int], lanes: int) -> list[int]:
    return [count + more for count, more in zip(counts, lanes.to_bytes(_BITS), strict=True)]


def _parts_of(text: str) -> Iterator[str]:
    """The parts whose sameness counts, in any order."""
    if len(text) <= _SHORT:
        before = ""
        for word in text.split():
            yield f"{before} {word}"
            before = word
        return
    for line in text.splitlines():
        bare = line.strip()
        for start in range(0, len(bare), _PIECE):
            yield bare[start : start + _PIECE]


def _exactly(text: str, length: int) -> Iterator[str]:
    """What must be the same: the length of what was cut, numbers, and what may be code to be run."""
    yield f"{length};"
    yield " ".join(_NUMBER.findall(text))
    fence = text.find(_FENCE)
    if fence >= 0:
        yield f";{text[fence : text.rfind(_FENCE)]}"
    tag = _TAG.search(text)
    if tag is not None:
        yield f";{text[tag.start() : text.rfind('>')]}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
