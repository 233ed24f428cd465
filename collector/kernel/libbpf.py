"""libbpf through ctypes: the few calls that the collector makes, typed, with errors that say what to do.

Nothing here knows polygraph's programs; collector/kernel/source.py does. libbpf is version 1.0 or later
(Debian: libbpf1), whose pointers-or-errors convention is NULL plus errno.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from collector.kernel.rings import Ring
from collector.kernel.rodata import variables
from polygraph.errors import PolygraphError

_Print = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)

#: enum libbpf_print_level: the gravest; bytes of one message, whose end is a verifier's log of at most 16 MiB
_WARNING, _WORDS = 0, 1 << 25
#: beginnings of lines that say neither why nor where
_IDLE_WORDS = ("processed ", "--", "libbpf: failed to load object")

#: rows that one system call brings
_BATCH = 4096


class KernelError(PolygraphError):
    """The kernel refused something. ``errno`` says why, ``words`` (libbpf's) where."""

    def __init__(self, message: str, number: int, advice: str = "", words: str = "") -> None:
        where = f" ({words})" if words else ""
        super().__init__(f"{message}: {os.strerror(number)}{where}", advice or _advice(number))
        self.errno = number


def _advice(number: int) -> str:
    if number in (errno.EPERM, errno.EACCES):
        return "run as root, or with CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_SYS_RESOURCE"
    if number in (errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL):
        return "this kernel lacks it; `polygraph doctor` says what that costs"
    return "`polygraph doctor` says more"


class _UprobeOptions(ctypes.Structure):
    """struct bpf_uprobe_opts of libbpf 1.0, whose size tells later versions that it ends here."""

    _fields_ = (
        ("size", ctypes.c_size_t),
        ("ref_ctr_offset", ctypes.c_size_t),
        ("cookie", ctypes.c_uint64),
        ("retprobe", ctypes.c_bool),
        ("func_name", ctypes.c_char_p),
    )


class _Api:
    """The shared library with argument and result types set."""

    def __init__(self) -> None:
        try:
            self.lib = ctypes.CDLL("libbpf.so.1", use_errno=True)
        except OSError as error:
            raise PolygraphError(
                f"libbpf is missing: {error}", "install libbpf 1.x (Debian: apt install libbpf1)"
            ) from error
        pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
        self._type("bpf_object__open_file", pointer, text, pointer)
        self._type("bpf_object__load", number, pointer)
        self._type("bpf_object__close", None, pointer)
        self._type("bpf_object__find_map_by_name", pointer, pointer, text)
        self._type("bpf_object__find_program_by_name", pointer, pointer, text)
        self._type("bpf_map__fd", number, pointer)
        self._type("bpf_map__set_max_entries", number, pointer, ctypes.c_uint32)
        self._type("bpf_map__max_entries", ctypes.c_uint32, pointer)
        self._type("bpf_map__initial_value", pointer, pointer, ctypes.POINTER(ctypes.c_size_t))
        self._type("bpf_program__attach", pointer, pointer)
        self._type("bpf_program__attach_iter", pointer, pointer, pointer)
        self._type("bpf_program__set_autoload", number, pointer, ctypes.c_bool)
        self._type("bpf_program__set_expected_attach_type", number, pointer, number)
        self._type("bpf_program__fd", number, pointer)
        self._type("bpf_program__attach_tracepoint", pointer, pointer, text, text)
        uprobe = (pointer, number, text, ctypes.c_size_t, ctypes.POINTER(_UprobeOptions))
        self._type("bpf_program__attach_uprobe_opts", pointer, *uprobe)
        self._type("bpf_link__fd", number, pointer)
        self._type("bpf_link__destroy", number, pointer)
        self._type("bpf_map_lookup_elem", number, number, text, pointer)
        self._type("bpf_map_update_elem", number, number, text, text, ctypes.c_uint64)
        self._type("bpf_map_delete_elem", number, number, text)
        self._type("bpf_map_get_next_key", number, number, text, pointer)
        batch = (text, pointer, pointer, pointer, ctypes.POINTER(ctypes.c_uint32), pointer)
        self._type("bpf_map_lookup_batch", number, number, *batch)
        self._type("bpf_iter_create", number, number)
        self._type("libbpf_set_print", pointer, _Print)
        self._type("libbpf_num_possible_cpus", number)

    def _type(self, name: str, result: object, *arguments: object) -> None:
        function = getattr(self.lib, name)
        function.restype = result
        function.argtypes = list(arguments)


class _Words:
    """What libbpf says, as far as it is a warning: the verifier's reasons among them."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._message = ctypes.create_string_buffer(_WORDS)
        self._libc = ctypes.CDLL(None)
        self._libc.vsnprintf.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p]
        self.listener = _Print(self._listen)

    def _listen(self, level: int, text: bytes, arguments: int) -> int:
        if level == _WARNING:
            self._libc.vsnprintf(self._message, _WORDS, text, arguments)
            self._lines += self._message.value.decode(errors="replace").splitlines()
        return 0

    def last(self) -> str:
        """The verifier's verdict, and which program or map it was."""
        said = [line for line in self._lines if line and not line.startswith(_IDLE_WORDS)]
        return "; ".join(line.removeprefix("libbpf: ") for line in said[-2:])


class Map:
    """A map: keys and values are bytes of their full size."""

    def __init__(self, api: _Api, fd: int, value_size: int) -> None:
        self._lib = api.lib
        self.fd = fd
        self._value = ctypes.create_string_buffer(value_size)

    def get(self, key: bytes) -> bytes | None:
        """The value of ``key``, or None."""
        if self._lib.bpf_map_lookup_elem(self.fd, key, self._value):
            return None
        return self._value.raw

    def set(self, key: bytes, value: bytes) -> None:
        """Writes a row. Raises KernelError (E2BIG when the map is full)."""
        if self._lib.bpf_map_update_elem(self.fd, key, value, 0):
            raise KernelError("cannot write to a BPF map", ctypes.get_errno())

    def delete(self, key: bytes) -> None:
        """Removes a row, if it is there."""
        self._lib.bpf_map_delete_elem(self.fd, key)

    def items(self, key_size: int) -> Iterator[tuple[bytes, bytes]]:
        """The rows of a hash; those written or removed meanwhile may be missed or seen. Raises KernelError."""
        value_size = len(self._value)
        keys = ctypes.create_string_buffer(_BATCH * key_size)
        values = ctypes.create_string_buffer(_BATCH * value_size)
        place, count = ctypes.create_string_buffer(8), ctypes.c_uint32()
        begun = more = False
        while not begun or more:
            count.value = _BATCH
            failed = self._lib.bpf_map_lookup_batch(
                self.fd, place if begun else None, place, keys, values, ctypes.byref(count), None
            )
            number = ctypes.get_errno() if failed else 0
            if number not in (0, errno.ENOENT):  # ENOENT: these were the last
                raise KernelError("cannot read a BPF map", number)
            begun, more = True, not failed
            rows = count.value
            key, value = keys.raw[: rows * key_size], values.raw[: rows * value_size]
            for row in range(rows):
                yield (
                    key[row * key_size : (row + 1) * key_size],
                    value[row * value_size : (row + 1) * value_size],
                )

    def memory(self, size: int) -> mmap.mmap:
        """The values of an array made with BPF_F_MMAPABLE, read-only."""
        return mmap.mmap(self.fd, size, mmap.MAP_SHARED, mmap.PROT_READ)


class Link:
    """A program attached to a hook; the hook is released by ``close``."""

    def __init__(self, api: _Api, handle: int) -> None:
        self._lib = api.lib
        self._handle: int | None = handle

    @property
    def fd(self) -> int:
        """File descriptor of the link."""
        return int(self._lib.bpf_link__fd(self._handle))

    def close(self) -> None:
        """Detaches."""
        if self._handle is not None:
            self._lib.bpf_link__destroy(self._handle)
            self._handle = None


class Settings(NamedTuple):
    """What is fixed before load."""

    #: name of a ``const volatile`` variable -> its bytes
    constants: Mapping[str, bytes]
    max_entries: Mapping[str, int]
    #: programs that are not loaded
    without: frozenset[str] = frozenset()
    #: program -> enum bpf_attach_type, where its section does not say it
    attach_types: Mapping[str, int] = {}


class Object:
    """A loaded BPF object."""

    def __init__(self, path: Path, settings: Settings) -> None:
        """Opens and loads. Raises KernelError with libbpf's own last words."""
        self._api = _Api()
        data = path.read_bytes()
        self._sizes, self._globals = variables(data), variables(data, ".bss")
        # Nobody listens: each of its thousand lines would wait for the interpreter's lock while others import.
        self._api.lib.libbpf_set_print(_Print())
        if self._load(path, settings):
            return
        number, words = ctypes.get_errno(), _Words()
        self.close()
        self._api.lib.libbpf_set_print(words.listener)
        self._load(path, settings)  # again, to hear why
        self._api.lib.libbpf_set_print(_Print())
        self.close()
        raise KernelError("the kernel refused polygraph's BPF programs", number, words=words.last())

    def _load(self, path: Path, settings: Settings) -> bool:
        """Whether it could be loaded; errno says why not. Raises KernelError when there is no such object."""
        self._handle = self._api.lib.bpf_object__open_file(os.fsencode(path), None)
        if not self._handle:
            raise KernelError(f"cannot open BPF object {path.name}", ctypes.get_errno(), "build it: make bpf")
        for name, entries in settings.max_entries.items():
            self._api.lib.bpf_map__set_max_entries(self._find_map(name), entries)
        for name in settings.without:
            self._api.lib.bpf_program__set_autoload(self._program(name), False)
        for name, kind in settings.attach_types.items():
            self._api.lib.bpf_program__set_expected_attach_type(self._program(name), kind)
        if settings.constants:
            self._set_constants(settings.constants)
        return not self._api.lib.bpf_object__load(self._handle)

    def _set_constants(self, constants: Mapping[str, bytes]) -> None:
        size = ctypes.c_size_t()
        rodata = self._find_map(".rodata")
        start = self._api.lib.bpf_map__initial_value(rodata, ctypes.byref(size))
        for name, value in constants.items():
            offset, length = self._sizes[name]
            if len(value) != length or offset + length > size.value:
                raise ValueError(f"{name} has {length} bytes, not {len(value)}")
            ctypes.memmove(start + offset, value, length)

    def variables(self, *names: str) -> list[memoryview]:
        """The bytes of global variables that begin with 0, shared with the programs. Raises KeyError, OSError."""
        size = ctypes.c_size_t()
        bss = self._find_map(".bss")
        self._api.lib.bpf_map__initial_value(bss, ctypes.byref(size))
        # libbpf shares this memory for its generated skeletons only
        shared = memoryview(mmap.mmap(int(self._api.lib.bpf_map__fd(bss)), size.value))
        where = self._globals
        return [shared[where[name][0] : sum(where[name])] for name in names]

    def _find_map(self, name: str) -> int:
        found = self._api.lib.bpf_object__find_map_by_name(self._handle, name.encode())
        if not found:
            raise KeyError(name)
        return int(found)

    def _program(self, name: str) -> int:
        found = self._api.lib.bpf_object__find_program_by_name(self._handle, name.encode())
        if not found:
            raise KeyError(name)
        return int(found)

    def map(self, name: str, value_size: int = 8) -> Map:
        """A map of the object. Raises KeyError when it has none of that name."""
        return Map(self._api, int(self._api.lib.bpf_map__fd(self._find_map(name))), value_size)

    def program_fd(self, name: str) -> int:
        """Descriptor of a program, open as long as the object. Raises KeyError when there is none of that name."""
        return int(self._api.lib.bpf_program__fd(self._program(name)))

    def attach(self, program: str) -> Link:
        """Attaches by the program's section. Raises KernelError."""
        link = self._api.lib.bpf_program__attach(self._program(program))
        if not link:
            raise KernelError(f"cannot attach {program}", ctypes.get_errno())
        return Link(self._api, link)

    def attach_tracepoint(self, program: str, category: str, name: str) -> Link:
        """Attaches to the tracepoint ``category:name``. Raises KernelError (ENOENT: this kernel has none)."""
        link = self._api.lib.bpf_program__attach_tracepoint(
            self._program(program), category.encode(), name.encode()
        )
        if not link:
            raise KernelError(f"cannot attach {program} to {category}:{name}", ctypes.get_errno())
        return Link(self._api, link)

    def attach_uprobe(
        self, program: str, binary: bytes, offset: int, cookie: int = 0, *, at_return: bool
    ) -> Link:
        """Attaches to the file offset ``offset`` of ``binary``, for all processes. Raises KernelError.

        The program is told ``cookie`` when it runs (bpf_get_attach_cookie, Linux 5.15).
        """
        options = _UprobeOptions(ctypes.sizeof(_UprobeOptions), 0, cookie, at_return, None)
        link = self._api.lib.bpf_program__attach_uprobe_opts(
            self._program(program), -1, binary, offset, ctypes.byref(options)
        )
        if not link:
            where = os.fsdecode(binary)
            raise KernelError(f"cannot attach {program} to {where}+{offset:#x}", ctypes.get_errno())
        return Link(self._api, link)

    def attach_iterator(self, program: str) -> Link:
        """An iterator; :meth:`iterate` runs it. Raises KernelError."""
        link = self._api.lib.bpf_program__attach_iter(self._program(program), None)
        if not link:
            raise KernelError(f"cannot attach iterator {program}", ctypes.get_errno())
        return Link(self._api, link)

    def iterate(self, link: Link) -> None:
        """One pass of an iterator over all it walks. Raises KernelError."""
        fd = self._api.lib.bpf_iter_create(link.fd)
        if fd < 0:
            raise KernelError("cannot start a BPF iterator", ctypes.get_errno())
        with os.fdopen(fd, "rb", buffering=0) as run:
            while run.read(4096):
                continue

    def ring(self, name: str) -> Ring:
        """A ring buffer. Raises OSError."""
        found = self._find_map(name)
        return Ring(int(self._api.lib.bpf_map__fd(found)), int(self._api.lib.bpf_map__max_entries(found)))

    def close(self) -> None:
        """Unloads what no link holds any more."""
        if self._handle:
            self._api.lib.bpf_object__close(self._handle)
            self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def possible_cpus() -> int:
    """CPUs that this kernel may ever have: what is kept per CPU needs that many rows."""
    return int(_Api().lib.libbpf_num_possible_cpus())
