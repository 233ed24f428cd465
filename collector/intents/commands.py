"""One command of a shell's text: what a program, a builtin, a wrapper or a shell in it does. :class:`Commands`."""

from __future__ import annotations

from abc import abstractmethod

from tree_sitter import Node

from collector.intents import certainty, stream_edits, wrappers
from collector.intents.nodes import Statement
from collector.intents.plans import Context, Project, Recorder, TooMuchError
from collector.intents.state import State, resolve, set_option, set_options
from collector.intents.words import UNKNOWN, text_of
from polygraph import tools

_MAX_NESTED = 8
_MAX_DEPTH = 80
#: wrappers that run their command in this shell, so that what it changes stays
_IN_THIS_SHELL = frozenset({"eval", "command", "builtin", "exec", "time"})


class Commands(Recorder):
    """Runs argument vectors; statements are the subclass's."""

    def __init__(self, project: Project | None) -> None:
        super().__init__()
        self._project = project

    @abstractmethod
    def text(self, text: str, state: State, context: Context) -> bool:
        """Shell text of its own; True if the shell surely ends with it."""

    @abstractmethod
    def visit(self, node: Statement, state: State, context: Context) -> bool:
        """A statement; True if the shell surely ends with it."""

    def run(self, argv: tuple[str, ...], state: State, context: Context, functions: bool = True) -> bool:
        """A command whose words are expanded; True if the shell surely ends with it."""
        if context.nested > _MAX_NESTED or context.depth > _MAX_DEPTH:
            raise TooMuchError("commands are wrapped too deep")
        program = argv[0]
        if UNKNOWN in program:
            self.unknown("a program whose name only the shell knew")
            return False
        if program in certainty.RESERVED:
            self.doubt("syntax that the parser does not know")
            return False
        if program == "!" and len(argv) > 1:  # `! ! a`
            return self.run(argv[1:], state, context._replace(masked=True))
        if functions and program in state.functions:
            return self._call(state.functions[program], state, context)
        if program in state.aliases:
            self.unknown("an alias may stand for another program")
            return False
        name = program.rsplit("/", 1)[-1]
        known = wrappers.table()
        if name in known.shell.shells:
            self._shell(argv, state, context)
            return False
        wrapper = known.wrapper.get(name)
        if wrapper is not None and len(argv) > 1 and not wrappers.only_asks(name, argv[1:]):
            return self._wrapped(wrapper, name, argv, state, context)
        if "/" not in program and name in known.shell.builtins:
            self.emit(argv, state, context)
            return self._builtin(argv, state, context)
        if name == "tee":
            self._tee(argv, state, context)
        changed = wrappers.changed(name, argv[1:])
        edit = stream_edits.texts(name, argv[1:]) if changed and name in ("sed", "perl") else ("", "")
        for path in changed:
            self.redirect(path, ">", None, state, context._replace(conditional=True), edit)
        self.emit(argv, state, context)
        self._project_recipes(name, argv, state, context)
        return False

    def _call(self, body: Node | None, state: State, context: Context) -> bool:
        """A function of the text itself."""
        if body is None:
            self.unknown("a function that may be defined, or defined so")
            return False
        before = state.copy()
        inner = context._replace(nested=context.nested + 1, depth=context.depth + 1)
        ended = self.visit(body, state, inner)
        state.returns, state.breaks = before.returns, before.breaks
        for name, value in state.variables.items():
            if before.variables.get(name, UNKNOWN) != value:
                state.variables[name] = None  # it may be local
        return ended

    def _wrapped(
        self, wrapper: wrappers.Wrapper, name: str, argv: tuple[str, ...], state: State, context: Context
    ) -> bool:
        found = wrappers.look_through(wrapper, argv[1:])
        keep = wrapper.keep or wrapper.first
        if not found or keep or any(inner.hand_off or inner.script for inner in found):
            self.emit(argv, state, context)
        inner_context = context._replace(
            conditional=context.conditional or wrapper.maybe or wrapper.first,
            background=context.background or wrapper.background,
            masked=context.masked or wrapper.background or wrapper.maybe,
            nested=context.nested + 1,
            depth=context.depth + 1,
            stdin=None,
            timed=len(self._executions) if name == "timeout" and context.timed is None else context.timed,
        )
        here = name in _IN_THIS_SHELL
        inner_state = state if here else state.copy()
        if not here:
            moved = wrappers.moved(wrapper, argv[1:])
            if moved is not None:
                inner_state.cwd = resolve(moved, state.cwd)
            if wrappers.loses_path(name, argv[1:]):
                inner_state.path_lost = True
        ended = False
        for inner in found:
            if inner.hand_off is not None:
                self.handed(inner.hand_off)
            elif inner.script is not None:
                self._script(str(wrapper.scripts), inner.script, inner_state, inner_context)
            elif inner.text is not None:
                if UNKNOWN in inner.text:
                    self.unknown("shell text that is not known before it runs")
                    if here:
                        state.forget()
                else:
                    ended = self.text(inner.text, inner_state, inner_context) and name == "eval"
            elif inner.argv is not None:
                own = name in ("eval", "builtin", "time")
                ended = self.run(inner.argv, inner_state, inner_context, functions=own) and here
        return ended or (name == "exec" and bool(found))

    def _script(self, kind: str, name: str, state: State, context: Context) -> None:
        text = self._project(kind, name, state.cwd or None) if self._project is not None else None
        if text is not None:
            fresh = State(cwd=state.cwd, exits=state.doubt)
            self.text(text, fresh, context._replace(nested=context.nested + 1))

    def _project_recipes(self, name: str, argv: tuple[str, ...], state: State, context: Context) -> None:
        kind = {"make": "make", "gmake": "make", "just": "just"}.get(name)
        match = tools.recognise(name, None, argv)
        if kind is None or self._project is None or (match is not None and match.runs_nothing):
            return
        for goal in [word for word in argv[1:] if not word.startswith("-") and "=" not in word][:8] or [""]:
            self._script(kind, goal, state, context)

    def _shell(self, argv: tuple[str, ...], state: State, context: Context) -> None:
        inner = State(
            cwd=state.cwd,
            may_be_elsewhere=state.may_be_elsewhere,
            exits=state.doubt,
            path_lost=state.path_lost,
            trapped=state.trapped,
        )
        position = 1
        while position < len(argv):
            argument = argv[position]
            if argument in ("-o", "+o", "-O", "+O"):
                if argument == "-o" and position + 1 < len(argv):
                    set_option(inner, argv[position + 1], True)
                position += 2
            elif argument in ("--version", "--help"):
                self.emit(argv, state, context)
                return
            elif argument.startswith("--"):
                position += 1
            elif argument.startswith("-") and len(argument) > 1:
                set_options(inner, [argument.replace("o", "").replace("c", "")])
                follows = position + 1
                if "o" in argument and follows < len(argv):  # bash -eo pipefail -c
                    set_option(inner, argv[follows], True)
                    follows += 1
                if "c" in argument:
                    self._shell_text(argv[follows] if follows < len(argv) else "", inner, context)
                    return
                if "s" in argument:
                    break
                position = follows
            else:
                self.emit(argv, state, context)  # a script file
                return
        if context.stdin is not None:
            self._shell_text(context.stdin, inner, context)

    def _shell_text(self, text: str, state: State, context: Context) -> None:
        if UNKNOWN in text:
            self.unknown("shell text that is not known before it runs")
            return
        self.text(
            text, state, context._replace(nested=context.nested + 1, depth=context.depth + 1, stdin=None)
        )

    def _builtin(self, argv: tuple[str, ...], state: State, context: Context) -> bool:
        """What a builtin changes; True if the shell surely ends with it."""
        name, args = argv[0], argv[1:]
        match name:
            case "exit":
                return True
            case "return":
                state.returns = True
            case "break" | "continue":
                count = int(args[0]) if args and args[0].isdigit() else 1
                state.breaks = max(state.breaks, min(count, _MAX_DEPTH))
            case "cd" | "pushd":
                targets = [argument for argument in args if argument == "-" or not argument.startswith("-")]
                known = len(targets) == 1 and targets[0] != "-" and "CDPATH" not in state.variables
                state.cwd = resolve(targets[0], state.cwd) if known else None
                state.may_be_elsewhere = False  # where it is told by success; shell.py asks whether it is
            case "popd":
                state.cwd = None
            case "set":
                set_options(state, args)
            case "shopt":
                for argument in args[1:]:
                    set_option(state, argument, "-s" in args[0])
                    if argument == "expand_aliases":
                        state.aliases.add("")
            case "alias":
                state.aliases.update(argument.split("=", 1)[0] for argument in args if "=" in argument)
            case "trap":
                self._trap(args, state, context)
            case "source" | ".":
                state.forget()
            case "kill" | "enable" | "hash":
                # It may be the shell itself that is killed; a name may be another program's from now on.
                state.exits = state.exits or bool(args)
            case "let":
                for argument in args:
                    variable = argument.split("=", 1)[0].rstrip("+-*/%<>&^| ")
                    if variable.isidentifier():
                        state.variables[variable] = None
            case _ if name in wrappers.table().shell.reads_variable or name == "printf":
                for argument in args:
                    if argument.isidentifier():
                        state.variables[argument] = None
        return False

    def _trap(self, args: tuple[str, ...], state: State, context: Context) -> None:
        if len(args) < 2 or args[0] in ("", "-") or args[0].startswith("-"):
            return
        action, signals = args[0], {signal.upper().removeprefix("SIG") for signal in args[1:]}
        inner = context._replace(
            conditional=True, masked=True, nested=context.nested + 1, depth=context.depth + 1, stdin=None
        )
        if UNKNOWN in action:
            self.unknown("shell text that is not known before it runs")
        else:
            later = state.copy()
            later.forget()  # what holds when it is run
            self.text(action, later, inner)
        leaves = UNKNOWN in action or any(word in action for word in ("exit", "kill", "return", "exec"))
        state.trapped = state.trapped or leaves
        state.exits = state.exits or (leaves and bool(signals & {"ERR", "DEBUG", "RETURN"}))

    def _tee(self, argv: tuple[str, ...], state: State, context: Context) -> None:
        append = any(argument in ("-a", "--append") for argument in argv[1:])
        content = None if context.stdin is None or UNKNOWN in context.stdin else context.stdin.encode()
        for argument in argv[1:]:
            if not argument.startswith("-"):
                self.redirect(argument, ">>" if append else ">", content, state, context)


def sets_path(node: Node) -> bool:
    """``PATH=/x`` without the old one in it: names may mean other programs, or none."""
    name = node.child_by_field_name("name")
    if name is None or text_of(name) != "PATH":
        return False
    return not any(old in (node.text or b"") for old in (b"$PATH", b"${PATH", b"+="))
