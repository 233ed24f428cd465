"""What the texts of a conversation name, joined in memory with what effects are about: :class:`Mentions`. Pure.

A text names hosts, paths and, on lines of their own, commands. Of all that only digests are kept, with who said it. An
effect's host or path is a *subject*. Where a subject was named, before or after, a :class:`~polygraph.events.Mention`
is told: the effect's own host or path, who named it and when, and nothing else of the text.

Everything is bounded: of a text its first MAX_TEXT characters and MAX_NAMES names are looked at, and the session
remembers MAX_REMEMBERED names. What is left out is told once (:class:`~polygraph.events.MentionsLost`).
"""

from __future__ import annotations

import posixpath
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Literal, NamedTuple

from collector.bounded import put
from collector.llm.values import loads
from polygraph.events import Mention, MentionOrigin, MentionsLost
from polygraph.text import to_bytes

MAX_TEXT = 256 * 1024
MAX_NAMES = 8192
MAX_REMEMBERED = 131_072
#: effects whose hosts and paths are remembered; the oldest go, and what is said of them later is not joined
MAX_SUBJECTS = 4096
#: subjects to which one name may lead, the latest: a folder may hold many files
_OF_ONE_NAME = 64
#: texts that came before are sent again with each request
MAX_TEXTS = 4096
#: tool calls that are remembered to have had one name in their arguments, the latest
_INTENTS = 4
_MAX_COMMAND = 400
_MAX_DEPTH = 24
_MAX_PATH = 4096

#: what a path in a text may not hold: there it ends. A path of an effect is compared up to the first of these too.
_PATH = re.compile(r"(?:~|\$HOME\b|\$\{HOME\})?[^\s\"'`<>|;&(){}\[\],*?$\\=:@!#%^~]+")
_ODD = re.compile(r"[\s\"'`<>|;&(){}\[\],*?$\\=:@!#%^]")
_MARKED = re.compile(r"[/._-]")
_HOST = re.compile(r"(?<![\w.-])(?:[a-z0-9_-]{1,63}\.){1,8}[a-z0-9-]{1,63}|(?<=\[)[0-9a-f:.]{2,45}(?=\])")
#: what stands before a command in a page or a terminal
_PROMPT = re.compile(r"\A(?:[-*+>$#]|\d{1,3}[.)])\s+")
_PARTS = re.compile(r"&&|\|\||;|\n")
_HOMES = re.compile(r"/(?:root|(?:home|Users)/[^/]+)(?=/)")

What = Literal["host", "path", "command"]


class _Said(NamedTuple):
    """Where a name stood."""

    origin: MentionOrigin
    intent: str | None
    call: str | None
    ts: int


class _Subject(NamedTuple):
    what: What
    value: str
    whole: bool


class Mentions:
    """The names of one session. ``home`` is what ``~`` means to its root process, if that is known."""

    def __init__(self, session: str, home: str = "") -> None:
        self._session = session
        self._home = home.rstrip("/")
        self._said: OrderedDict[int, tuple[_Said, ...]] = OrderedDict()
        self._texts: OrderedDict[int, None] = OrderedDict()
        self._subjects: OrderedDict[tuple[What, str], tuple[int, ...]] = OrderedDict()
        self._of_key: dict[int, tuple[_Subject, ...]] = {}
        self._lost: set[str] = set()

    # --- texts -----------------------------------------------------------------------------------

    def text(
        self, text: str, origin: MentionOrigin, ts: int, *, intent: str | None = None, call: str | None = None
    ) -> list[Mention | MentionsLost]:
        """A text that was said: what it names of the subjects so far. The same one is looked at once."""
        ident = _key(f"t{origin}{intent or ''}\0{text}")
        if not text or ident in self._texts:
            return []
        put(self._texts, ident, None, MAX_TEXTS)
        said = _Said(origin, intent, call, ts)
        told: list[Mention | MentionsLost] = []
        if len(text) > MAX_TEXT:
            told += self._left_out("text_too_long", ts)
        seen: set[str] = set()
        for name in _names(text[:MAX_TEXT], commands=origin in ("result", "instructions")):
            if name in seen:
                continue
            if len(seen) >= MAX_NAMES:
                told += self._left_out("text_too_long", ts)
                break
            seen.add(name)
            key = _key(name)
            if self._remember(key, said):
                told += [self._mention(subject, said, ts) for subject in self._of_key.get(key, ())]
        if len(self._said) > MAX_REMEMBERED:
            told += self._left_out("too_many", ts)
            while len(self._said) > MAX_REMEMBERED:
                self._said.popitem(last=False)
        return told

    def arguments(self, arguments: str, ts: int, intent: str, call: str) -> list[Mention | MentionsLost]:
        """The arguments of a tool call: JSON, of which the strings count, or a text."""
        value = loads(arguments.encode("utf-8", "surrogatepass"))
        text = arguments if value is None else "\n".join(_strings(value))
        return self.text(text, "intent", ts, intent=intent, call=call)

    def _remember(self, key: int, said: _Said) -> bool:
        """Whether this says something new."""
        before = self._said.get(key, ())
        if said.origin != "intent":
            if any(one.origin == said.origin for one in before):
                return False
            self._said[key] = (*before, said)
            return True
        others = tuple(one for one in before if one.origin != "intent")
        intents = [one for one in before if one.origin == "intent"]
        self._said[key] = (*others, *intents[1 - _INTENTS :], said)
        return True

    def _left_out(self, cause: Literal["text_too_long", "too_many"], ts: int) -> list[MentionsLost]:
        if cause in self._lost:
            return []
        self._lost.add(cause)
        return [MentionsLost(session=self._session, ts=ts, count=1, cause=cause)]

    # --- subjects --------------------------------------------------------------------------------

    def host(self, name: str, ts: int) -> list[Mention]:
        """An effect is about a host, by name or by address."""
        if ("host", name) in self._subjects:
            return []
        plain = name.rstrip(".").lower()
        keys = [(_key("h" + plain), True)]
        labels = plain.split(".")
        if not labels[-1].isdigit():  # else an address
            keys += [(_key("h" + ".".join(labels[at:])), False) for at in range(1, len(labels) - 1)]
        return self._about("host", name, keys, ts)

    def path(self, path: str, ts: int, told: str | None = None) -> list[Mention]:
        """An effect is about a path, which is absolute. ``told``: how it is told, where that differs."""
        value = path if told is None else told
        if ("path", value) in self._subjects:
            return []
        return self._about("path", value, list(self._path_keys(path)), ts)

    def command(self, command: str, digest: str, ts: int, intent: str) -> list[Mention]:
        """Tool call ``intent`` runs a command: who wrote it, or a part of it, on a line of its own before."""
        told: dict[MentionOrigin, Mention] = {}
        for part in dict.fromkeys((command, *_PARTS.split(command[:MAX_TEXT]))):
            line = _line(part)
            for said in self._said.get(_key("c" + line), ()) if line else ():
                if said.intent != intent:
                    told.setdefault(said.origin, self._mention(_Subject("command", digest, True), said, ts))
        return list(told.values())

    def _about(self, what: What, value: str, keys: list[tuple[int, bool]], ts: int) -> list[Mention]:
        put(self._subjects, (what, value), tuple(key for key, _ in keys), MAX_SUBJECTS + 1)
        if len(self._subjects) > MAX_SUBJECTS:
            self._forget()
        told: dict[tuple[MentionOrigin, str | None], Mention] = {}
        for key, whole in keys:
            subject = _Subject(what, value, whole)
            self._of_key[key] = (*self._of_key.get(key, ())[1 - _OF_ONE_NAME :], subject)
            for said in self._said.get(key, ()):
                told.setdefault((said.origin, said.intent), self._mention(subject, said, ts))
        return list(told.values())

    def _forget(self) -> None:
        (what, value), keys = self._subjects.popitem(last=False)
        for key in keys:
            rest = tuple(one for one in self._of_key.get(key, ()) if (one.what, one.value) != (what, value))
            if rest:
                self._of_key[key] = rest
            else:
                self._of_key.pop(key, None)

    def _path_keys(self, path: str) -> Iterator[tuple[int, bool]]:
        odd = _ODD.search(path)
        cut = path[: odd.start()] if odd is not None else path
        clean = posixpath.normpath(cut)
        parts = clean.strip("/").split("/")[:_MAX_DEPTH]
        # The whole ones first: of two forms in one text the better one is told.
        yield _key("p" + clean), odd is None
        home = self._home if self._home and clean.startswith(self._home + "/") else ""
        if not home and (found := _HOMES.match(clean)) is not None:
            home = found.group()
        inside = clean[len(home) + 1 :].split("/") if home else []
        if inside:
            yield _key("p~/" + "/".join(inside)), odd is None
        for at in range(1, len(parts) - 1):
            yield _key("p" + "/".join(parts[at:])), odd is None
        yield _key("p" + parts[-1]), False
        for end in range(1, len(inside)):
            yield _key("p~/" + "/".join(inside[:end])), False
        for end in range(2, len(parts)):
            if not home or end > home.count("/"):
                yield _key("p/" + "/".join(parts[:end])), False

    def _mention(self, subject: _Subject, said: _Said, ts: int) -> Mention:
        return Mention(
            session=self._session,
            ts=max(ts, said.ts),
            what=subject.what,
            value=subject.value,
            origin=said.origin,
            said_ts=said.ts,
            intent=said.intent,
            call=said.call,
            whole=subject.whole,
        )


def _names(text: str, *, commands: bool) -> Iterator[str]:
    """What ``text`` names: a letter for what it is, and the name as it is compared."""
    for match in _HOST.finditer(text.lower()):
        yield "h" + match.group()
    for word in dict.fromkeys(_PATH.findall(text)):
        if _MARKED.search(word) is not None and len(word) <= _MAX_PATH:
            yield "p" + _plain(word.rstrip("."))
    if commands:
        for row in text.split("\n"):
            for piece in (row, *row.split("`")[1::2]) if "`" in row else (row,):
                if line := _line(piece):
                    yield "c" + line


def _plain(word: str) -> str:
    for prefix in ("${HOME}", "$HOME"):
        if word.startswith(prefix):
            word = "~" + word[len(prefix) :]
    if word.startswith("/"):
        return "/" + posixpath.normpath(word).lstrip("/")
    clean = posixpath.normpath(word)
    while clean.startswith("../"):
        clean = clean[3:]
    return clean


def _line(text: str) -> str:
    """A command as it is compared: without a prompt, quotes of a page and double spaces; "" where it is too little."""
    if len(text) > _MAX_COMMAND:
        return ""
    words = _PROMPT.sub("", text.strip().strip("`")).split()
    line = " ".join(words)
    return line if len(words) > 1 and len(line) >= 8 else ""


def _strings(value: object) -> Iterable[str]:
    """Strings of a JSON value, keys left out; in no particular order."""
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            todo.extend(one.values())
        elif isinstance(one, list):
            todo.extend(one)


def _key(name: str) -> int:
    return int.from_bytes(blake2b(to_bytes(name), digest_size=8).digest(), "big")
