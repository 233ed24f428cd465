"""A tool call of a model to what should happen: :func:`plan`.

Tools are known by name (data/tool_names.toml). A tool with an unknown name expects only what its arguments
make certain; its kind is ``other`` and nothing about it can accuse.
"""

from __future__ import annotations

import posixpath
import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec

from collector.intents import shell
from collector.intents.patches import MAX_FILES, ExpectedFileDraft, fragment_of, from_patch
from collector.intents.shell import Project, ShellPlan
from collector.intents.weakening import marks_of
from polygraph.events import Execution

__all__ = ["ExpectedFileDraft", "IntentKind", "IntentPlan", "does_nothing", "last_word", "plan"]

IntentKind = Literal["shell", "read", "write", "edit", "delete", "fetch", "search", "delegate", "other"]

#: edits of one call that are looked at
_MAX_EDITS = 256
_APPLY_PATCH = ("apply_patch", "applypatch")
#: builtins that only print, or nothing
_SILENT = frozenset({"echo", "printf", "true", ":", "exit"})
#: Codex does it itself in these forms, and no program of that name is run
_PATCH_COMMAND = re.compile(
    r"\s*(?:cd (?P<quote>['\"]?)(?P<directory>[\w./@+-]{1,1000})(?P=quote) && )?(?:apply_patch|applypatch)\b"
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")


class IntentPlan(NamedTuple):
    """What a tool call should do; fields as in :class:`polygraph.events.Intent`."""

    kind: IntentKind
    executions: tuple[Execution, ...] = ()
    files: tuple[ExpectedFileDraft, ...] = ()
    hosts: tuple[str, ...] = ()
    #: the command text, as a shell would be given it
    command: str | None = None
    parsed: bool = True
    note: str | None = None
    hand_off: str | None = None
    background: bool = False


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    arguments: dict[str, tuple[str, ...]]
    names: dict[str, str]


_Arguments = Mapping[str, object]


def plan(name: str, arguments: str, cwd: str | None = None, project: Project | None = None) -> IntentPlan:
    """The plan of a tool call.

    Args:
        name: the tool, as the model named it.
        arguments: its arguments, as JSON; free text for tools that take no JSON (a custom apply_patch).
        cwd: where the agent runs its commands, if known.
        project: see :func:`collector.intents.shell.parse`.
    """
    does = _does(name)
    decoded = _decode(arguments)
    if decoded is None:
        if does == "patch" or arguments.lstrip().startswith("*** Begin Patch"):
            return _patched(from_patch(arguments))
        return IntentPlan(_KINDS.get(does, "other"), parsed=False, note="arguments are not JSON")
    made = _known(does, decoded, cwd, project) if does != "unknown" else _shaped(name, decoded, cwd, project)
    if name.lower().startswith("mcp__") or name.lower().startswith("mcp."):
        # Its server may run anywhere.
        made = made._replace(kind=made.kind if made.kind != "shell" else "other", hand_off="mcp server")
    return made


_KINDS: dict[str, IntentKind] = {
    "shell": "shell",
    "read": "read",
    "write": "write",
    "edit": "edit",
    "multiedit": "edit",
    "notebook": "edit",
    "patch": "edit",
    "editor": "edit",
    "delete": "delete",
    "move": "edit",
    "copy": "edit",
    "fetch": "fetch",
    "search": "search",
    "delegate": "delegate",
    "remote_fetch": "fetch",
    "remote_search": "search",
}


def _known(does: str, arguments: _Arguments, cwd: str | None, project: Project | None) -> IntentPlan:
    kind = _KINDS.get(does, "other")
    path = _text("path", arguments)
    if kind in ("write", "edit", "delete") and any(
        arguments.get(key) is True for key in _table().arguments["dry"]
    ):
        return IntentPlan(kind, note="it only shows what it would do")
    match does:
        case "shell":
            return _shell(arguments, cwd, project)
        case "read":
            return IntentPlan(kind, files=(ExpectedFileDraft(path, "read"),) if path else ())
        case "write":
            content = _first("content", arguments)
            adds = any(arguments.get(key) is True for key in _table().arguments["append"])
            return IntentPlan(kind, files=_appended(path, content) if adds else _written(path, content))
        case "edit" | "notebook" | "multiedit":
            return IntentPlan(kind, files=_edited(does, path, arguments))
        case "editor":
            return _editor(arguments, path)
        case "patch":
            return _from(_cwd_of(arguments, cwd), _patch(arguments))
        case "delete" | "move" | "copy":
            return IntentPlan(kind, files=_placed(does, path, arguments))
        case "fetch":
            return IntentPlan(kind, hosts=_hosts(arguments))
        case "remote_fetch" | "remote_search" | "remote_code":
            return IntentPlan(kind, hand_off="model provider")
        case "code":
            return IntentPlan("other", parsed=False, note="a program's source, not a command")
        case _:
            return IntentPlan(kind)


def _shaped(name: str, arguments: _Arguments, cwd: str | None, project: Project | None) -> IntentPlan:
    """A tool with an unknown name: what its name and its arguments together make certain."""
    words = {word.lower() for word in _WORD.findall(name)}
    command = _first("command", arguments)
    names_command = any(key in arguments for key in ("command", "cmd", "shell_command", "bash_command"))
    if names_command and words & {"shell", "bash", "command", "commands", "cmd", "terminal", "exec"}:
        return _shell(arguments, cwd, project)
    if names_command and isinstance(command, str):
        made = shell.parse(command, cwd, project)
        maybe = tuple(msgspec.structs.replace(e, conditional=True) for e in made.executions)
        return IntentPlan(
            "other",
            maybe,
            command=command,
            parsed=False,
            note="the tool is not known",
            hand_off=made.hand_off,
        )
    path = _text("path", arguments)
    if path and "file" in words and words & {"read", "view", "open", "cat"}:
        return IntentPlan("read", files=(ExpectedFileDraft(path, "read"),))
    return IntentPlan("other")


def does_nothing(name: str, arguments: str) -> bool:
    """Whether a call changes nothing and runs nothing, so that no words beside it can mean what it is about to do.

    A tool that only ends the work, or a shell command of nothing but ``echo`` (mini-swe-agent submits by one).
    """
    if _does(name) == "say":
        return True
    made = plan(name, arguments)
    return (
        made.kind == "shell"
        and made.parsed
        and not (made.files or made.hosts or made.hand_off or made.background)
        and bool(made.executions)
        and all(e.builtin and e.program in _SILENT for e in made.executions)
    )


def last_word(name: str, arguments: str) -> str:
    """What a call that ends the work says to the user; "" for every other call."""
    if _does(name) != "say":
        return ""
    decoded = _decode(arguments)
    return _text("say", decoded) if decoded is not None else ""


# --- shell -----------------------------------------------------------------------------------------------


def _shell(arguments: _Arguments, cwd: str | None, project: Project | None) -> IntentPlan:
    command = _first("command", arguments)
    cwd = _cwd_of(arguments, cwd)
    if isinstance(command, str) and command:
        return _command(command, arguments, cwd, project)
    if isinstance(command, Sequence) and command and all(isinstance(word, str) for word in command):
        words = [str(word) for word in command]
        if "commands" in arguments and "command" not in arguments:
            return _command("\n".join(words), arguments, cwd, project)
        return _argv(words, arguments, cwd, project)
    if arguments.get("restart") is True:
        return IntentPlan("other")
    return IntentPlan("shell", parsed=False, note="no command in the arguments")


def _cwd_of(arguments: _Arguments, cwd: str | None) -> str | None:
    """Where a call is carried out: the absolute directory that it names, else where the agent is."""
    directory = _text("cwd", arguments)
    return directory if directory.startswith("/") else None if directory else cwd


def _from(directory: str | None, made: IntentPlan) -> IntentPlan:
    """The relative files of ``made``, from ``directory``."""
    if not directory:
        return made

    def at(path: str) -> str:
        return path if path.startswith(("/", "~")) else posixpath.normpath(posixpath.join(directory, path))

    return made._replace(
        files=tuple(
            draft._replace(path=at(draft.path), new_path=at(draft.new_path) if draft.new_path else None)
            for draft in made.files
        )
    )


def _argv(words: list[str], arguments: _Arguments, cwd: str | None, project: Project | None) -> IntentPlan:
    if words[0] in _APPLY_PATCH and len(words) > 1:
        return _from(cwd, _patched(from_patch(words[1])))
    base = words[0].rsplit("/", 1)[-1]
    if len(words) == 3 and base in ("bash", "sh", "zsh", "dash") and words[1] in ("-c", "-lc", "-ic", "-ec"):
        return _command(words[2], arguments, cwd, project)
    return _command(shlex.join(words), arguments, cwd, project)._replace(command=None)


def _command(text: str, arguments: _Arguments, cwd: str | None, project: Project | None) -> IntentPlan:
    if "*** Begin Patch" in text:
        made = _patch_command(text, cwd, project)
        if made is not None:
            return made
    parsed = shell.parse(text, cwd, project)
    background = parsed.background or any(
        arguments.get(key) is True for key in _table().arguments["background"]
    )
    executions = parsed.executions
    if background and not parsed.background:
        executions = tuple(msgspec.structs.replace(e, background=True, masked=True) for e in executions)
    return IntentPlan(
        "shell",
        executions,
        _redirected(parsed),
        command=text,
        parsed=parsed.parsed,
        note=parsed.note,
        hand_off=parsed.hand_off,
        background=background,
    )


def _redirected(parsed: ShellPlan) -> tuple[ExpectedFileDraft, ...]:
    """Files that the command may change: by the shell's own redirections, and by programs such as ``sed -i``.

    They are what the call discloses. None has to be changed: a program before it may rightly fail. Content is declared
    only where nothing else of the command comes near the file.
    """
    files: list[ExpectedFileDraft] = []
    for redirect in parsed.redirects:
        if redirect.op == "read":
            continue
        last = all(later.path != redirect.path for later in parsed.redirects if later is not redirect)
        if redirect.op == "append":
            added = redirect.content.decode("utf-8", "replace") if redirect.content else ""
            files.append(
                ExpectedFileDraft(
                    redirect.path,
                    "write",
                    fragment=fragment_of(added) if added and last else None,
                    marks=marks_of(redirect.path, "", added),
                )
            )
        else:
            # Another program of the same command may go on with the file.
            alone = (
                last and len(parsed.executions) == 1 and not parsed.background and not redirect.conditional
            )
            files.append(
                ExpectedFileDraft(
                    redirect.path,
                    "write",
                    content=redirect.content if alone else None,
                    marks=marks_of(redirect.path, *redirect.edit),
                )
            )
    return tuple(dict.fromkeys(files))[:MAX_FILES]


def _patch_command(text: str, cwd: str | None, project: Project | None) -> IntentPlan | None:
    """``apply_patch <<'EOF'``: done by the agent itself, so no program of that name is to be expected."""
    form = _PATCH_COMMAND.match(text)
    if form is None:
        return None
    start, end = text.find("*** Begin Patch"), text.find("*** End Patch")
    if end < start:
        return None
    parsed = shell.parse(text, cwd, project)
    others = tuple(e for e in parsed.executions if e.program not in _APPLY_PATCH)
    made = _patched(from_patch(text[start:end]))._replace(
        executions=others, command=text, parsed=parsed.parsed
    )
    return _from(posixpath.join(cwd or "", form["directory"] or ""), made)


# --- files -----------------------------------------------------------------------------------------------


def _written(path: str, content: object) -> tuple[ExpectedFileDraft, ...]:
    if not path:
        return ()
    whole = content.encode("utf-8", "replace") if isinstance(content, str) else None
    return (ExpectedFileDraft(path, "write", content=whole),)


def _placed(does: str, path: str, arguments: _Arguments) -> tuple[ExpectedFileDraft, ...]:
    """Files of a tool that deletes, moves or copies one."""
    if does == "delete":
        return (ExpectedFileDraft(path, "delete"),) if path else ()
    source, target = _text("source", arguments) or path, _text("target", arguments)
    if not (source and target):
        return ()
    if does == "copy":
        return (ExpectedFileDraft(target, "write"),)
    return (ExpectedFileDraft(source, "rename", target),)


def _appended(path: str, content: object) -> tuple[ExpectedFileDraft, ...]:
    piece = fragment_of(content) if isinstance(content, str) else None
    return (ExpectedFileDraft(path, "write", fragment=piece),) if path else ()


def _edited(does: str, path: str, arguments: _Arguments) -> tuple[ExpectedFileDraft, ...]:
    if not path:
        return ()
    if does == "notebook":
        return (ExpectedFileDraft(path, "write"),)
    edits = arguments.get("edits")
    last: _Arguments = arguments
    if isinstance(edits, Sequence) and edits and isinstance(edits[-1], Mapping):
        last = edits[-1]
    new = _text("new", last)
    if last is arguments and new and new == _text("old", last):
        return ()  # every client refuses it
    each = [one for one in edits if isinstance(one, Mapping)] if isinstance(edits, Sequence) else []
    texts = [(_text("old", one), _text("new", one)) for one in each[:_MAX_EDITS] or [last]]
    marks = marks_of(path, "\n".join(old for old, _ in texts), "\n".join(added for _, added in texts))
    return (ExpectedFileDraft(path, "write", fragment=fragment_of(new) if new else None, marks=marks),)


def _editor(arguments: _Arguments, path: str) -> IntentPlan:
    command = arguments.get("command")
    if not path or not isinstance(command, str):
        return IntentPlan("other", parsed=False, note="no path or command in the arguments")
    if command == "view":
        return IntentPlan("read")  # a directory may be viewed too
    if command in ("create", "write"):
        return IntentPlan("write", files=_written(path, _first("content", arguments)))
    if command in ("str_replace", "insert"):
        return IntentPlan("edit", files=_edited("edit", path, arguments))
    return IntentPlan("edit", files=(ExpectedFileDraft(path, "write"),) if command == "undo_edit" else ())


def _patch(arguments: _Arguments) -> IntentPlan:
    operation = arguments.get("type")
    path = _text("path", arguments)
    diff = _text("patch", arguments)
    if isinstance(operation, str) and path:  # OpenAI's apply_patch_call
        if operation == "delete_file":
            return IntentPlan("edit", files=(ExpectedFileDraft(path, "delete"),))
        added = "".join(line[1:] + "\n" for line in diff.splitlines() if line.startswith("+"))
        if operation == "create_file":
            return IntentPlan(
                "edit", files=(ExpectedFileDraft(path, "create", content=added.encode("utf-8", "replace")),)
            )
        return IntentPlan("edit", files=(ExpectedFileDraft(path, "write", fragment=fragment_of(added)),))
    return _patched(from_patch(diff))


def _patched(files: Sequence[ExpectedFileDraft]) -> IntentPlan:
    if not files:
        return IntentPlan("edit", parsed=False, note="the patch could not be read")
    return IntentPlan("edit", files=tuple(files[:MAX_FILES]))


def _hosts(arguments: _Arguments) -> tuple[str, ...]:
    url = _first("url", arguments)
    urls = [url] if isinstance(url, str) else list(url) if isinstance(url, Sequence) else []
    hosts: list[str] = []
    for item in urls[:64]:
        host = host_of(item) if isinstance(item, str) else None
        if host is not None and host not in hosts:
            hosts.append(host)
    return tuple(hosts)


def host_of(url: str) -> str | None:
    """Host name of an http(s) URL, lower case, without port; None if it has none."""
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname
    except ValueError:
        return None
    return host if parts.scheme in ("http", "https") else None


# --- names and arguments ---------------------------------------------------------------------------------


@cache
def _table() -> _Table:
    raw = tomllib.loads(
        resources.files("collector.intents").joinpath("data/tool_names.toml").read_text("utf-8")
    )
    return msgspec.convert(raw, _Table)


def _does(name: str) -> str:
    names = _table().names
    if name == "web_fetch":
        return "remote_fetch"  # Anthropic's and Gemini's server-side tool; Claude Code's own is WebFetch
    last = re.split(r"__|[./:]", name[:200])[-1]
    return names.get(re.sub(r"[_\- ]", "", last).lower(), "unknown")


def _decode(arguments: str) -> dict[str, object] | None:
    try:
        decoded = msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    if not isinstance(decoded, dict):
        return None
    merged = dict(decoded)
    for key in ("action", "operation", "arguments", "args", "kwargs"):
        inner = merged.get(key)
        if isinstance(inner, dict):
            merged = {**inner, **{k: v for k, v in merged.items() if k != key and k not in inner}}
    return merged


def _first(role: str, arguments: _Arguments) -> object:
    for key in _table().arguments[role]:
        if key in arguments:
            return arguments[key]
    return None


def _text(role: str, arguments: _Arguments) -> str:
    """The argument of a role if it is text, else "" (which no path, command or URL is)."""
    value = _first(role, arguments)
    return value if isinstance(value, str) else ""
