"""Derives rows of collector/data/tls_signatures.toml from binaries, and checks the table against them.

    python scripts/tls_signatures.py --build "Claude Code 2.1.330" FILE    # a row for this very build
    python scripts/tls_signatures.py --pattern "Bun 1.3.3" FILE            # a row for those that look like it
    python scripts/tls_signatures.py --check FILE...                       # which rung finds what, do all agree?

A row is derived from what collector/tls/boringssl.py found, or from the file's symbols: it is never guessed.
``--check`` ends with status 1 if a file is found by no rung, or two rungs differ.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from collector.tls import boringssl, code, signatures
from collector.tls.discover import PROBED
from collector.tls.elf import Elf, ElfError
from collector.tls.signatures import Places

#: bytes of code in a row of a build
_BUILD_CODE = 32
#: bytes that a pattern has if the function is long enough: as many as hold what tells it from its neighbours, which
#: begin alike (the numbers of its errors, what it calls in which order), not only what is unique in one file
_PATTERN_CODE = 320
_ROW = 24


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--build", metavar="WHAT", help="derive a row [[build]]")
    action.add_argument("--pattern", metavar="WHAT", help="derive a row [[pattern]]")
    action.add_argument("--check", action="store_true", help="check the table")
    parser.add_argument("files", nargs="+", type=Path)
    options = parser.parse_args()
    if options.check:
        return max(check(path) for path in options.files)
    for path in options.files:
        try:
            with path.open("rb") as file:
                elf = Elf(file)
                row = build_row(elf, options.build) if options.build else pattern_row(elf, options.pattern)
        except (OSError, ValueError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 1
        print(row)
    return 0


def rungs(elf: Elf) -> Iterator[tuple[str, Places]]:
    """(Name of a rung, function -> file offsets) of each rung that finds something in the file itself."""
    symbols = elf.symbols(PROBED, frozenset({"SSL_read", "SSL_write"}))
    if "SSL_read" in symbols:
        yield "symbols", {name: (rows[0].file_offset,) for name, rows in symbols.items()}
    known = signatures.known_build(elf)
    if known is not None:
        yield f"build-id ({known[0].what})", known[1]
    for pattern, places in signatures.matching(elf):
        yield f"signature (seen in {', '.join(pattern.seen)})", places
    try:
        addresses = boringssl.functions(elf)
    except boringssl.NotCertainError as error:
        print(f"  errors: refused, {error}")
        return
    if addresses:
        yield "errors", {name: tuple(map(elf.code_offset, places)) for name, places in addresses.items()}


def check(path: Path) -> int:
    """Prints what each rung finds in a file: 0 if there is something and all agree, 1 if not."""
    print(path)
    places: dict[str, set[tuple[int, ...]]] = {}
    count = 0
    try:
        with path.open("rb") as file:
            for rung, found in rungs(Elf(file)):
                count += 1
                print(f"  {rung}: " + ", ".join(map(_shown, sorted(found.items()))))
                for name, offsets in found.items():
                    places.setdefault(name, set()).add(offsets)
    except (OSError, ElfError) as error:
        print(f"  {error}")
    differing = sorted(name for name, found_at in places.items() if len(found_at) > 1)
    verdict = f"{count} agree" if count else "found by no rung"
    print(f"  -> {'DIFFERENT: ' + ', '.join(differing) if differing else verdict}")
    return int(bool(differing) or not count)


def _shown(item: tuple[str, tuple[int, ...]]) -> str:
    return f"{item[0]} {' '.join(map(hex, item[1]))}"


def build_row(elf: Elf, what: str) -> str:
    """A row ``[[build]]``. Raises ValueError for a file that cannot have one."""
    if not elf.build_id:
        raise ValueError("it has no build-id")
    lines = ["[[build]]", f'build_id = "{elf.build_id}"', f'what = "{what}"', 'library = "boringssl"']
    for name, address in _certain(elf).items():
        offset = elf.code_offset(address)
        lines += [
            f"[build.functions.{name}]",
            f"offset = {offset:#x}",
            f'code = "{elf.read(offset, _BUILD_CODE).hex(" ")}"',
        ]
    return "\n".join(lines)


def pattern_row(elf: Elf, what: str) -> str:
    """A row ``[[pattern]]``. Raises ValueError where the code is not unique."""
    lines = ["[[pattern]]", f'seen = ["{what}"]', 'library = "boringssl"', "[pattern.functions]"]
    for name, address in _certain(elf).items():
        words = _unique(elf, name, address)
        rows = [" ".join(words[at : at + _ROW]) for at in range(0, len(words), _ROW)]
        lines.append(f'{name} = """\n' + "\n".join(rows) + '\n"""')
    return "\n".join(lines)


def _certain(elf: Elf) -> dict[str, int]:
    addresses = boringssl.functions(elf)
    if not addresses:
        raise ValueError("there is no BoringSSL in it")
    several = [name for name, places in addresses.items() if len(places) > 1]
    if several:
        raise ValueError(f"{', '.join(several)} is at several places, which no row can say")
    return {name: places[0] for name, places in sorted(addresses.items())}


def _unique(elf: Elf, name: str, address: int) -> list[str]:
    """The beginning of a function, if it stands in the file once."""
    words = _masked(elf, address)
    if len(signatures.find_code(elf, signatures.compile_code(" ".join(words)))) == 1:
        return words
    raise ValueError(f"{name} looks like something else in it")


def _masked(elf: Elf, address: int) -> list[str]:
    """Code of a function in order of address, with wildcards for what another linking changes.

    That are distances to places outside of it, addresses, and the numbers of lines. It ends where something was not
    reached from its beginning.
    """
    function = code.body(elf, address)
    words: list[str] = []
    at = address
    while at in function.instructions and at - address < _PATTERN_CODE:
        instruction = function.instructions[at]
        raw = elf.read(elf.code_offset(at, instruction.len), instruction.len)
        row = [f"{byte:02x}" for byte in raw]
        for start in code.changing(raw, at, function):
            row[start : start + 4] = ["??"] * 4
        words += row
        at = instruction.next_ip
    return words


if __name__ == "__main__":
    sys.exit(main())
