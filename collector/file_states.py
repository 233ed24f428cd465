"""Which files are looked at for a tool call or a claim, and what is told of each (:class:`FileState`). Pure: the look
itself, and the search for tests, come in as arguments (collector/look.py has them).
"""

from __future__ import annotations

import codecs
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from collector.bounded import put
from collector.claims.model import ClaimDraft
from collector.claims.objects import is_code
from collector.intents.tools import ExpectedFileDraft
from collector.redact import redact_path
from collector.telling import Telling
from polygraph.events import ClaimTell, FileState, ProcessKey
from polygraph.test_files import language_of

#: most files of one claim that are looked at
MAX_CLAIM_LOOKS = 16
#: most texts of users that are remembered, and characters of each
MAX_GIVEN, MAX_GIVEN_SIZE = 16, 256 << 10
#: bytes of a file, and lines of so many characters in them, that tell it in what a user said
_GIVEN_HEAD, _GIVEN_LINES, _GIVEN_LINE = 4096, 4, 8
#: files that tool calls changed last, which are looked at again when a claim rests on them
MAX_CHANGED = 16
#: most files of tests of which it is remembered how many they define
MAX_TESTS = 1024
#: topics of claims at which the project's tests are looked for
_TEST_TOPICS = frozenset({"tests_run", "tests_passed"})
#: what is said to be so rests on the files as they are when it is said
_OF_THE_STATE = frozenset({"tests_passed", "build", "lint", "typecheck"})
_FILE_TOPICS = frozenset({"file_created", "file_changed", "file_deleted", "file_read"})


class FileLook(NamedTuple):
    """What a file was when it was looked at. ``content`` is None when it is unreadable or too large.

    ``names``: of a directory, those of its files; empty where they are too many. ``tests``: so many tests the content
    defines, 0 if that is not known.
    """

    exists: bool
    size: int = 0
    mtime: int = 0
    dev: int = 0
    ino: int = 0
    content: bytes | None = None
    names: tuple[str, ...] = ()
    tests: int = 0


Look = Callable[[ProcessKey, str], FileLook | None]
"""``look(process, path)``: ``path`` as the process would resolve it; None if it cannot be told."""


FindTests = Callable[[ProcessKey], list[tuple[str, FileLook]]]
"""``find_tests(process)``: test files, absolute, below the directory of the process."""


def no_tests(_process: ProcessKey) -> list[tuple[str, FileLook]]:
    """Where nobody can look for tests, none are found."""
    return []


class FileStates:
    """Of one session."""

    def __init__(self, session: str, telling: Telling, look: Look, find_tests: FindTests) -> None:
        self._session = session
        self._telling = telling
        self._look = look
        self._find_tests = find_tests
        #: what users said: it may hold the files that they ask about
        self._given: OrderedDict[str, None] = OrderedDict()
        #: paths that tool calls were to change, as they named them
        self._changed: OrderedDict[str, None] = OrderedDict()
        #: how many tests files define, by what they are
        self._tests: OrderedDict[tuple[int, int, int, int], int] = OrderedDict()

    def user_said(self, text: str) -> None:
        """A user's message: a file whose beginning stands in it needs no opening in order to be read."""
        if len(text) >= _GIVEN_LINES * _GIVEN_LINE:
            put(self._given, text[:MAX_GIVEN_SIZE], None, MAX_GIVEN)

    def changed(self, path: str) -> None:
        """A tool call changed the file that it calls so: claims of how things are have it looked at again."""
        self._changed.pop(path, None)
        put(self._changed, path, None, MAX_CHANGED)

    def of_intent(
        self, intent: str, files: Iterable[ExpectedFileDraft], process: ProcessKey, ts: int
    ) -> Iterator[FileState]:
        """After a tool call: the ``files`` that it should have changed."""
        for draft in files:
            path = draft.new_path or draft.path
            look = self._look(process, path)
            if look is not None:
                if draft.op != "read":
                    self.changed(path)
                yield self._state(path, intent, look, _matches(draft, look), ts)

    def of_claim(
        self, claim: str, draft: ClaimDraft, tells: Iterable[ClaimTell], process: ProcessKey, ts: int
    ) -> Iterator[FileState]:
        """At a claim of the model: the files that it names, the tests that it speaks of, or what was changed before."""
        if draft.topic in _FILE_TOPICS:
            for path in draft.targets[:MAX_CLAIM_LOOKS]:
                for file in self._files_of(process, path):
                    look = self._look(process, file)
                    if look is not None and not (draft.topic == "file_read" and self._was_given(look)):
                        yield self._state(file, claim, look, None, ts)
        told: set[tuple[int, int]] = set()
        for path in draft.targets[:MAX_CLAIM_LOOKS] if draft.topic in _TEST_TOPICS else ():
            named = self._look(process, path) if language_of(path) is not None else None
            if named is not None and named.exists:
                yield self._state(path, claim, named, None, ts)
        if draft.topic in _TEST_TOPICS and "part" not in tells:
            tests = self._find_tests(process)
            for path, look in tests if "whole" in tells else tests[:MAX_CLAIM_LOOKS]:
                told.add((look.dev, look.ino))
                counted = (
                    look._replace(tests=self._defined(process, path, look)) if "whole" in tells else look
                )
                yield self._state(path, claim, counted, None, ts)
        for path in self._changed if draft.topic in _OF_THE_STATE else ():
            look_again = self._look(process, path)
            if look_again is not None and (look_again.dev, look_again.ino) not in told:
                yield self._state(path, claim, look_again, None, ts)

    def _defined(self, process: ProcessKey, path: str, look: FileLook) -> int:
        """How many tests the file defines: it is read once for as long as it is the same."""
        key = (look.dev, look.ino, look.size, look.mtime)
        number = self._tests.get(key)
        if number is None:
            read = self._look(process, path) if language_of(path) is not None else None
            number = read.tests if read is not None else 0
            put(self._tests, key, number, MAX_TESTS)
        return number

    def _was_given(self, look: FileLook) -> bool:
        """Whether the user had put the file into the conversation: then it was read without being opened.

        Told by its first lines, since clients number and indent them.
        """
        content = (look.content or b"")[:_GIVEN_HEAD].decode("utf-8", "replace")
        lines = [line.strip() for line in content.splitlines() if len(line.strip()) >= _GIVEN_LINE]
        head = lines[:_GIVEN_LINES]
        return bool(head) and any(all(line in text for line in head) for text in self._given)

    def _files_of(self, process: ProcessKey, path: str) -> Iterable[str]:
        """``path``; of a directory (with a slash at its end) its source files."""
        if not path.endswith("/"):
            return (path,)
        look = self._look(process, path)
        return [f"{path}{name}" for name in (look.names if look is not None else ()) if is_code(name)]

    def _state(self, path: str, subject: str, look: FileLook, matches: bool | None, ts: int) -> FileState:
        return FileState(
            session=self._session,
            ts=ts,
            path=redact_path(path),
            intent=subject,
            exists=look.exists,
            size=look.size,
            mtime=look.mtime,
            dev=look.dev,
            ino=look.ino,
            digest=self._telling.digest(look.content) if look.content is not None else None,
            matches=matches,
            tests=look.tests,
        )


def _matches(draft: ExpectedFileDraft, look: FileLook) -> bool | None:
    if look.content is None:
        return None
    if draft.content is not None:
        return _plain(look.content) == _plain(draft.content)
    if draft.fragment is not None:
        return draft.fragment.strip(b"\n") in look.content
    return None


def _plain(content: bytes) -> bytes:
    """Tools keep a file's own line ends and byte order mark, and add or drop its last newline: no other content."""
    return content.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n").rstrip(b"\n")
