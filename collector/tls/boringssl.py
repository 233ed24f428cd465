"""BoringSSL's functions in a file without symbols, found by the errors that they report.

Each function of ssl/ssl_lib.cc that can fail says so: ERR_put_error(ERR_LIB_SSL, 0, reason, file, line). The name of
the file is a string that only those calls mention, the reasons are numbers that never change (they are part of the
interface, include/openssl/ssl.h), and the lines stand in the order of the source. So the seven reports of these
three functions are told by their order, whatever the version and the compiler::

    ssl_read_impl   UNINITIALIZED, SSL_HANDSHAKE_FAILURE
    SSL_peek        SHOULD_NOT_HAVE_BEEN_CALLED              compilers put it into SSL_read, which calls it
    SSL_write       SHOULD_NOT_HAVE_BEEN_CALLED, UNINITIALIZED, SSL_HANDSHAKE_FAILURE, BAD_LENGTH

SSL_do_handshake reports CONNECTION_TYPE_NOT_SET, SSL_set_tlsext_host_name SSL3_EXT_INVALID_SERVERNAME; nobody else
does. SSL_free reports nothing and cannot be found. A connection begins with a handshake, though: before it, what
was at the same address is over.

Everything is asked twice: a guess at the instructions around each mention says which are of interest; then the
function is disassembled from an entry that some instruction calls, and must say the same. What does not is refused,
and so is a function that compilers have put into others as well: what goes through those would be missed.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import NamedTuple

from collector.tls import code
from collector.tls.code import Body
from collector.tls.elf import Elf, occurrences

#: the end of what __FILE__ was
FILE = b"ssl/ssl_lib.cc\0"
#: bytes of a path
_MAX_PATH = 4096
#: copies of the string that are followed
_MAX_STRINGS = 4
#: searches through all code, functions that are disassembled: a file that needs more is made to waste our time
_MAX_SEARCHES, _MAX_BODIES = 8, 512
#: register of ``file`` -> registers of ``reason`` and ``line``; compilers drop the second argument, which is always 0
_CONVENTIONS = {"RCX": ("RDX", "R8"), "RDX": ("RSI", "RCX")}

#: where compilers let functions begin, and bytes before its report at which SSL_peek does
_ALIGNED = 16
_PEEK = 256

# include/openssl/err.h and ssl.h
_SHOULD_NOT_HAVE_BEEN_CALLED = 66
_BAD_LENGTH = 111
_CONNECTION_TYPE_NOT_SET = 134
_INVALID_SERVERNAME = 213
_HANDSHAKE_FAILURE = 215
_UNINITIALIZED = 226
_ORDER = (
    *(_UNINITIALIZED, _HANDSHAKE_FAILURE),
    _SHOULD_NOT_HAVE_BEEN_CALLED,
    *(_SHOULD_NOT_HAVE_BEEN_CALLED, _UNINITIALIZED, _HANDSHAKE_FAILURE, _BAD_LENGTH),
)


class NotCertainError(ValueError):
    """BoringSSL is there, and its functions cannot be placed with certainty: why."""


class _Report(NamedTuple):
    """What ERR_put_error is given."""

    reason: int
    line: int


class _Lines(NamedTuple):
    """The reports by which the functions are known."""

    impl: frozenset[_Report]
    read: _Report
    write: frozenset[_Report]


def functions(elf: Elf) -> dict[str, tuple[int, ...]]:
    """Function -> its addresses, mostly one; empty where there is no BoringSSL. Raises NotCertainError, ElfError."""
    mentions: dict[int, _Report] = {}
    for address in _strings(elf):
        for mention in code.mentions(elf, address):
            report = _report(code.nearby(elf, mention), mention)
            if report is not None:
                mentions[mention] = report
    if not mentions:
        return {}
    lines = _lines(set(mentions.values()))
    return _Finder(elf, mentions).find(lines)


def _strings(elf: Elf) -> list[int]:
    """Addresses at which the name of the file begins."""
    found: list[int] = []
    for offset, address, data in elf.windows(elf.constants, len(FILE)):
        for at in islice(occurrences(data, FILE), _MAX_STRINGS - len(found)):
            begin = max(0, offset + at - _MAX_PATH)
            before = elf.read(begin, offset + at - begin)
            found.append(address + at - (len(before) - before.rfind(b"\0") - 1))
    return sorted(set(found))


def _report(function: Body, mention: int) -> _Report | None:
    instruction = function.instructions.get(mention)
    if instruction is None:
        return None
    values = code.arguments(function, mention)
    reason, line = _CONVENTIONS.get(code.destination(instruction), ("", ""))
    if reason not in values or line not in values:
        return None
    return _Report(values[reason], values[line])


def _lines(reports: set[_Report]) -> _Lines:
    """The reports of the three functions: the last seven in the source of these reasons, up to BAD_LENGTH."""
    bad_length = [report for report in reports if report.reason == _BAD_LENGTH]
    if len(bad_length) != 1:
        raise NotCertainError(f"{len(bad_length)} functions of it report BAD_LENGTH")
    rows = sorted(
        (report for report in reports if report.reason in _ORDER and report.line <= bad_length[0].line),
        key=lambda report: report.line,
    )[-len(_ORDER) :]
    if tuple(report.reason for report in rows) != _ORDER:
        raise NotCertainError("its errors are not in the order that is known")
    return _Lines(frozenset(rows[:2]), rows[2], frozenset(rows[3:]))


class _Finder:
    """From reports to functions."""

    def __init__(self, elf: Elf, mentions: dict[int, _Report]) -> None:
        self._elf = elf
        self._mentions = mentions
        self._bodies: dict[int, Body] = {}
        self._entries: set[int] = set()
        self._searches = 0

    def find(self, lines: _Lines) -> dict[str, tuple[int, ...]]:
        """All functions that are probed. Raises NotCertainError."""
        wanted = {lines.read, *lines.write}
        named = [report for report in self._mentions.values() if report.reason == _INVALID_SERVERNAME]
        wanted.update(named)
        places = [mention for mention, report in self._mentions.items() if report in wanted]
        self._look_for_entries(places)
        write = self._only("SSL_write", lines.write)
        found = {
            "SSL_read": (self._read(lines).start,),
            "SSL_write": (write.start,),
            "SSL_do_handshake": self._handshakes(write),
        }
        if len(set(named)) == 1:
            server_name = self._only("SSL_set_tlsext_host_name", frozenset(named))
            found["SSL_set_tlsext_host_name"] = (server_name.start,)
        return found

    def _handshakes(self, write: Body) -> tuple[int, ...]:
        """SSL_do_handshake, which SSL_write calls, and the functions that it was built into: SSL_connect, SSL_accept.

        Those that nobody calls are of no use to the program, and none to us.
        """
        starts = {target for target in code.calls(write) if _CONNECTION_TYPE_NOT_SET in self._reasons(target)}
        if len(starts) != 1:
            raise NotCertainError(f"SSL_write calls {len(starts)} functions that may be SSL_do_handshake")
        known = self._reports(next(iter(starts)))
        others = {
            mention: report
            for mention, report in self._mentions.items()
            if report.reason == _CONNECTION_TYPE_NOT_SET and mention not in known
        }
        self._look_for_entries(list(others))
        for report in set(others.values()):
            bodies, _unclaimed = self._with(report)
            starts.update(function.start for function in bodies)
        return tuple(sorted(starts))

    def _look_for_entries(self, places: list[int]) -> None:
        """Addresses before ``places`` that are called, in as few searches as there are neighbourhoods."""
        first = last = 0
        for place in sorted(places):
            if not first or place - first > (32 << 10):
                self._add_entries(first, last)
                first = place - code.SPAN
            last = place
        self._add_entries(first, last)

    def _add_entries(self, first: int, last: int) -> None:
        if first:
            self._searches += 1
            if self._searches > _MAX_SEARCHES:
                raise NotCertainError("its functions are spread too far")
            self._entries |= code.called(self._elf, max(1, first), last + 1)

    def _body(self, start: int) -> Body:
        if start not in self._bodies:
            if len(self._bodies) == _MAX_BODIES:
                raise NotCertainError("too many functions may be what is looked for")
            self._bodies[start] = code.body(self._elf, start, self._entries)
        return self._bodies[start]

    def _reports(self, start: int) -> dict[int, _Report]:
        """What the function at ``start`` reports, by the mention of the file."""
        function = self._body(start)
        found = {
            mention: _report(function, mention)
            for mention in self._mentions
            if mention in function.instructions
        }
        return {mention: report for mention, report in found.items() if report is not None}

    def _reasons(self, start: int) -> set[int]:
        return {report.reason for report in self._reports(start).values()}

    def _with(self, report: _Report) -> tuple[list[Body], list[int]]:
        """The functions that give ``report``, and the mentions of it that are in no function that is called.

        Of each mention, the nearest entry before it that comes to it.
        """
        starts: set[int] = set()
        unclaimed: list[int] = []
        for mention, other in self._mentions.items():
            if other != report:
                continue
            for entry in sorted((entry for entry in self._entries if entry <= mention), reverse=True):
                if mention - entry > code.SPAN:
                    unclaimed.append(mention)
                    break
                if self._reports(entry).get(mention) == report:
                    starts.add(entry)
                    break
            else:
                unclaimed.append(mention)
        return [self._body(start) for start in sorted(starts)], unclaimed

    def _only(self, name: str, reports: frozenset[_Report]) -> Body:
        """The one function that gives all of ``reports``."""
        by_start: dict[int, set[_Report]] = defaultdict(set)
        for report in reports:
            bodies, unclaimed = self._with(report)
            if unclaimed:
                raise NotCertainError(f"{name} may be built into other functions as well")
            for function in bodies:
                by_start[function.start].add(report)
        if len(by_start) != 1 or set(reports) not in by_start.values():
            raise NotCertainError(f"{len(by_start)} functions report what {name} does")
        return self._body(next(iter(by_start)))

    def _read(self, lines: _Lines) -> Body:
        """SSL_read, and not SSL_peek, which looks the same but takes nothing away: it writes nothing."""
        candidates, unclaimed = self._with(lines.read)
        readers = [function for function in candidates if code.stores(function)]
        if len(readers) != 1:
            raise NotCertainError(
                f"{len(readers)} of {len(candidates)} functions that report what SSL_read does take what they read"
            )
        (reader,) = readers
        within = set(self._reports(reader.start).values())
        if within & lines.write:
            raise NotCertainError("SSL_read reports what SSL_write does")
        impl = {
            target
            for target in (reader.start, *code.calls(reader))
            if lines.impl <= set(self._reports(target).values())
        }
        if not impl:
            raise NotCertainError("SSL_read does not call what reads")
        if not all(self._is_peek(mention, impl) for mention in unclaimed):
            raise NotCertainError("SSL_read may be built into other functions as well")
        return reader

    def _is_peek(self, mention: int, impl: set[int]) -> bool:
        """Whether SSL_peek is around ``mention``, which nobody calls: it calls what reads and writes nothing itself."""
        for start in range(mention - mention % _ALIGNED, mention - _PEEK, -_ALIGNED):
            function = code.body(self._elf, start, self._entries)
            if mention in function.instructions and code.calls(function) & impl:
                return not code.stores(function)
        return False
