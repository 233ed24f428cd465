"""Shell text to what should happen: :func:`parse`.

The grammar is tree-sitter's for bash; what is quoted, echoed or commented is therefore never taken for a
command. What the text leaves open (a variable from outside, a glob, a sourced file) stays open: arguments
hold :data:`~collector.intents.words.UNKNOWN` there; ``parsed`` is False where a program could not be named.
Bounded by size, nodes, nesting and executions, whatever the input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Literal, NamedTuple

import tree_sitter
import tree_sitter_bash
from tree_sitter import Node

from collector.intents import nodes, wrappers
from collector.intents.nodes import Pipe, Redirected, Statement
from collector.intents.output import output_of
from collector.intents.state import State, resolve, set_option, set_options
from collector.intents.words import UNKNOWN, expand, text_of, value_of
from polygraph import tools
from polygraph.events import Execution

#: longest text that is parsed, characters; tree-sitter needs about 0.5 s for the worst of this size
MAX_TEXT = 64 * 1024
_MAX_NODES = 20_000
_MAX_DEPTH = 80
_MAX_NESTED = 8
_MAX_EXECUTIONS = 256
_MAX_LOOP = 8

Project = Callable[[str, str, str | None], str | None]
"""``project(kind, name, cwd)``: the text of a script that a project file defines (kind npm, make, just)."""


class Redirect(NamedTuple):
    """A file that the shell itself opens (or ``tee`` writes). ``content`` where the text says it whole."""

    path: str
    op: Literal["read", "write", "append"]
    content: bytes | None = None
    conditional: bool = False


class ShellPlan(NamedTuple):
    """What a command line should do. ``executions`` are in the order of the text."""

    executions: tuple[Execution, ...] = ()
    redirects: tuple[Redirect, ...] = ()
    parsed: bool = True
    note: str | None = None
    hand_off: str | None = None
    background: bool = False


def parse(command: str, cwd: str | None = None, project: Project | None = None) -> ShellPlan:
    """The plan of shell text.

    Args:
        command: the text, as given to ``sh -c``.
        cwd: absolute directory that it starts in, if known.
        project: looks scripts of project files up; without it a wrapper (``npm test``) stands for its work.
    """
    walker = _Walker(project)
    state = State(cwd=cwd if cwd and cwd.startswith("/") else "")
    try:
        walker.text(command, state, _Context())
    except _TooMuchError as limit:
        walker.unknown(str(limit))
    return walker.plan()


class _TooMuchError(Exception):
    """A bound was reached; the message says which."""


class _Context(NamedTuple):
    conditional: bool = False
    masked: bool = False
    background: bool = False
    #: the status of this statement is the one of the text
    tail: bool = True
    stdin: str | None = None
    depth: int = 0
    nested: int = 0


class _Walker:
    def __init__(self, project: Project | None) -> None:
        self._project = project
        self._executions: list[Execution] = []
        self._redirects: list[Redirect] = []
        self._note: str | None = None
        self._hand_off: str | None = None
        self._nodes = 0
        self._doubtful = False

    def plan(self) -> ShellPlan:
        executions = tuple(self._executions)
        if self._doubtful:  # after a syntax error nothing is sure to run
            executions = tuple(_conditional(execution) for execution in executions)
        return ShellPlan(
            executions,
            () if self._doubtful else tuple(self._redirects),
            self._note is None,
            self._note,
            self._hand_off,
            any(execution.background for execution in executions),
        )

    def unknown(self, note: str) -> None:
        self._note = self._note or note

    def text(self, text: str, state: State, context: _Context) -> None:
        """Shell text of its own: the whole command, or what ``sh -c`` and ``eval`` are given."""
        if context.nested > _MAX_NESTED:
            raise _TooMuchError("shell text is nested too deep")
        if len(text) > MAX_TEXT:
            raise _TooMuchError("the command is too long")
        tree = _parser().parse(text.encode("utf-8", "replace"))
        if tree.root_node.has_error:
            self._doubtful = True
            self.unknown("syntax that the parser does not know")
        self._sequence(tree.root_node, state, context)

    # --- statements ----------------------------------------------------------------------------------

    def _visit(self, node: Statement, state: State, context: _Context) -> bool:
        """Walks a statement; True if the shell surely ends with it."""
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise _TooMuchError("the command has too many parts")
        if context.depth > _MAX_DEPTH:
            raise _TooMuchError("the command is nested too deep")
        context = context._replace(depth=context.depth + 1)
        if isinstance(node, Pipe):
            self._pipeline(node.stages, state, context)
            return False
        if isinstance(node, Redirected):
            return self._redirected(node.node, node.body, state, context)
        match node.type:
            case "command":
                return self._command(node, state, context)
            case "pipeline":
                self._pipeline(node.named_children, state, context)
            case "list":
                return self._list(node, state, context)
            case "redirected_statement":
                return self._redirected(node, node.child_by_field_name("body"), state, context)
            case "subshell":
                self._sequence(node, state.copy(), context)
            case "compound_statement" | "do_group" | "program" | "else_clause":
                return self._sequence(node, state, context)
            case "negated_command":
                for child in node.named_children:
                    self._visit(child, state, context._replace(masked=True))
            case "if_statement" | "elif_clause":
                self._if(node, state, context)
            case "while_statement" | "for_statement" | "c_style_for_statement" | "case_statement":
                self._block(node, state, context)
            case "function_definition":
                name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
                if name is not None and body is not None:
                    state.functions[text_of(name)] = body
            case "variable_assignment" | "variable_assignments" | "declaration_command" | "unset_command":
                self._assign(node, state, context)
            case "test_command":
                self._substitutions(node, state, context)
                program = "[[" if text_of(node).startswith("[[") else "["
                self._emit((program,), state, context)
            case "comment" | "heredoc_body" | "heredoc_end":
                pass
            case _:
                self._substitutions(node, state, context)
        return False

    def _sequence(self, node: Node, state: State, context: _Context) -> bool:
        statements: list[tuple[Node, bool]] = []
        for child in node.children:
            if child.is_named and child.type not in ("comment", "heredoc_body", "heredoc_end"):
                statements.append((child, False))
            elif child.type == "&" and statements:
                statements[-1] = (statements[-1][0], True)
        last = len(statements) - 1
        while last > 0 and nodes.keeps_status(statements[last][0]):
            last -= 1
        for position, (statement, background) in enumerate(statements):
            tail = position >= last
            inner = context._replace(
                masked=context.masked or background or not (tail or state.errexit or nodes.stops(statement)),
                background=context.background or background,
                tail=context.tail and tail,
            )
            if (
                self._visit(statement, state.copy() if background else state, inner)
                and not context.conditional
            ):
                return True
        return False

    def _list(self, node: Node, state: State, context: _Context) -> bool:
        left, operator, right = nodes.sides(node)
        return self._either(left, operator, right, state, context)

    def _either(self, left: Node, operator: str, right: Statement, state: State, context: _Context) -> bool:
        hidden = state.errexit and not context.tail if operator == "&&" else not nodes.fails(right)
        if self._visit(left, state, context._replace(masked=context.masked or hidden)):
            return True
        if operator == "||":
            before = state.copy()
            self._visit(right, state, context._replace(conditional=True))
            state.maybe(before)
        else:
            self._visit(right, state, context._replace(conditional=True))
        return False

    def _pipeline(self, stages: Sequence[Node | Redirected], state: State, context: _Context) -> None:
        stages = [stage for stage in stages if isinstance(stage, Redirected) or stage.type != "comment"]
        first = stages[0] if stages else None
        if isinstance(first, Node):  # `a && b | c`: the tree has `a && b` as the first stage
            body = first.child_by_field_name("body") if first.type == "redirected_statement" else first
            if body is not None and body.type == "list":
                left, operator, right = nodes.sides(body)
                moved = right if body is first else Redirected(first, right)
                self._either(left, operator, Pipe((moved, *stages[1:])), state, context)
                return
        for position, stage in enumerate(stages):
            last = position == len(stages) - 1
            masked = context.masked or not (last or state.pipefail)
            inner = context._replace(masked=masked, stdin=context.stdin if position == 0 else None)
            self._visit(stage, state.copy(), inner)
            if position and isinstance(stage, Node) and nodes.shell_reads_stdin(stage):
                self.unknown("a shell reads its commands from a pipe")

    def _redirected(self, node: Node, body: Node | None, state: State, context: _Context) -> bool:
        if body is not None and body.type == "list":  # `a && b > f`: the tree has both under the redirection
            left, operator, right = nodes.sides(body)
            return self._either(left, operator, Redirected(node, right), state, context)
        files: list[tuple[str, str, str | None]] = []
        after: list[tuple[str, Node]] = []
        stdin = context.stdin
        for child in node.children:
            if child.type == "file_redirect":
                files.append(nodes.file_redirect(child, state.scope()))
                self._substitutions(child, state, context)
            elif child.type == "heredoc_redirect":
                stdin = nodes.heredoc(child)
                after.extend(nodes.after_heredoc(child))
                for inner in child.children:
                    if inner.type == "file_redirect":
                        files.append(nodes.file_redirect(inner, state.scope()))
                    elif inner.type == "heredoc_body":
                        self._substitutions(inner, state, context)
            elif child.type == "herestring_redirect":
                stdin = nodes.herestring(child, state.scope())
        piped = any(operator == "|" for operator, _ in after)
        status_kept = not piped or state.pipefail
        inner_context = context._replace(stdin=stdin, masked=context.masked or not status_kept)
        if after and after[-1][0] == "||" and not nodes.fails(after[-1][1]):
            inner_context = inner_context._replace(masked=True)
        scope, started = state.scope(), state.cwd
        ended = self._visit(body, state, inner_context) if body is not None else False
        for path, operator, descriptor in files:
            content = (
                output_of(body, scope, stdin) if body is not None and descriptor in (None, "1") else None
            )
            self._redirect(path, operator, content, started, context)
        for operator, part in after:
            part_context = context._replace(conditional=context.conditional or operator != "|", stdin=None)
            self._visit(part, state, part_context)
        return ended and not after

    def _redirect(
        self, path: str, operator: str, content: bytes | None, cwd: str | None, context: _Context
    ) -> None:
        resolved = resolve(path, cwd)
        if (
            resolved is None
            or resolved.startswith(("/dev/", "/proc/"))
            or ("&" in operator and path.isdigit())
        ):
            return
        if operator == "<":
            self._redirects.append(Redirect(resolved, "read", None, context.conditional))
        elif operator in (">>", "&>>"):
            self._redirects.append(Redirect(resolved, "append", content, context.conditional))
        elif operator in (">", ">|", "&>", ">&"):
            whole = content if operator in (">", ">|") else None
            self._redirects.append(Redirect(resolved, "write", whole, context.conditional))

    def _if(self, node: Node, state: State, context: _Context) -> None:
        before = state.copy()
        condition = True
        for child in node.children:
            if child.type == "then":
                condition = False
            elif child.is_named:
                if condition:
                    self._visit(child, state, context._replace(masked=True))
                else:
                    self._visit(child, state, context._replace(conditional=True))
        state.maybe(before)

    def _block(self, node: Node, state: State, context: _Context) -> None:
        before = state.copy()
        body = node.child_by_field_name("body")
        if node.type == "for_statement" and body is not None:
            self._for(node, body, state, context)
        elif node.type == "case_statement":
            for child in node.named_children:
                if child.type == "case_item":
                    for part in child.named_children:
                        self._visit(part, state, context._replace(conditional=True))
                else:
                    self._substitutions(child, state, context)
        else:
            for child in node.named_children:
                if child != body:
                    self._visit(child, state, context._replace(masked=True))
            if body is not None:
                for name in nodes.assigned(body):
                    state.variables[name] = None
                self._visit(
                    body,
                    state,
                    context._replace(conditional=True, masked=not state.errexit or context.masked),
                )
        state.maybe(before)

    def _for(self, node: Node, body: Node, state: State, context: _Context) -> None:
        name = node.child_by_field_name("variable")
        variable = text_of(name) if name is not None else ""
        items = [
            item for value in node.children_by_field_name("value") for item in expand(value, state.scope())
        ]
        for value in node.children_by_field_name("value"):
            self._substitutions(value, state, context)
        known = items and len(items) <= _MAX_LOOP and not any(UNKNOWN in item for item in items)
        if not known:
            for changed in (variable, *nodes.assigned(body)):
                state.variables[changed] = None
            self._visit(
                body, state, context._replace(conditional=True, masked=context.masked or not state.errexit)
            )
            return
        for position, item in enumerate(items):
            state.variables[variable] = item
            hidden = position < len(items) - 1 and not state.errexit
            self._visit(
                body,
                state,
                context._replace(masked=context.masked or hidden, tail=context.tail and not hidden),
            )

    def _assign(self, node: Node, state: State, context: _Context) -> None:
        alone = node.type == "variable_assignment"
        self._substitutions(node, state, context, masked=not alone)
        if node.type == "unset_command":
            for child in node.named_children:
                state.variables.pop(text_of(child), None)
            return
        for assignment in [node] if alone else node.named_children:
            name = assignment.child_by_field_name("name")
            if assignment.type != "variable_assignment" or name is None:
                continue
            value = assignment.child_by_field_name("value")
            known = value_of(value, state.scope()) if value is not None else ""
            plain = (
                name.type == "variable_name"
                and UNKNOWN not in known
                and b"+=" not in (assignment.text or b"")[:200]
            )
            state.variables[text_of(name)] = known if plain else None

    def _substitutions(self, node: Node, state: State, context: _Context, masked: bool = True) -> None:
        """Runs the command substitutions inside words."""
        stack = [node]
        while stack:
            current = stack.pop()
            self._nodes += 1
            if self._nodes > _MAX_NODES:
                raise _TooMuchError("the command has too many parts")
            if current.type in ("command_substitution", "process_substitution"):
                if context.depth > _MAX_DEPTH:
                    raise _TooMuchError("the command is nested too deep")
                inner = context._replace(
                    masked=context.masked or masked or current.type == "process_substitution",
                    depth=context.depth + 1,
                    stdin=None,
                    tail=False,
                )
                self._sequence(current, state.copy(), inner)
            else:
                stack.extend(reversed(current.named_children))

    # --- commands --------------------------------------------------------------------------------------

    def _command(self, node: Node, state: State, context: _Context) -> bool:
        argv: list[str] = []
        for child in node.named_children:
            if child.type == "herestring_redirect":
                context = context._replace(stdin=nodes.herestring(child, state.scope()))
            elif child.type == "variable_assignment":
                self._substitutions(child, state, context)
            elif child.type == "file_redirect":
                self._redirect(*nodes.file_redirect(child, state.scope())[:2], None, state.cwd, context)
            else:
                self._substitutions(child, state, context)
                word = (
                    child.named_children[0]
                    if child.type == "command_name" and child.named_child_count
                    else child
                )
                argv.extend(expand(word, state.scope()))
        return self._run(tuple(argv), state, context) if argv else False

    def _run(self, argv: tuple[str, ...], state: State, context: _Context, functions: bool = True) -> bool:
        if context.nested > _MAX_NESTED or context.depth > _MAX_DEPTH:
            raise _TooMuchError("commands are wrapped too deep")
        program = argv[0]
        if UNKNOWN in program:
            self.unknown("a program whose name only the shell knew")
            return False
        if functions and program in state.functions:
            inner = context._replace(nested=context.nested + 1, depth=context.depth + 1)
            return self._visit(state.functions[program], state, inner)
        if program in state.aliases:
            self.unknown("an alias may stand for another program")
            return False
        name = program.rsplit("/", 1)[-1]
        known = wrappers.table()
        if name in known.shell.shells:
            self._shell(argv, state, context)
            return False
        wrapper = known.wrapper.get(name)
        if wrapper is not None and len(argv) > 1:
            return self._wrapped(wrapper, name, argv, state, context)
        if "/" not in program and name in known.shell.builtins:
            self._builtin(argv, state)
            self._emit(argv, state, context)
            return name == "exit" and not context.conditional and not context.background
        if name == "tee":
            self._tee(argv, state, context)
        self._emit(argv, state, context)
        self._project_recipes(name, argv, state, context)
        return False

    def _wrapped(
        self, wrapper: wrappers.Wrapper, name: str, argv: tuple[str, ...], state: State, context: _Context
    ) -> bool:
        found = wrappers.look_through(wrapper, argv[1:])
        if not found or wrapper.keep or any(inner.hand_off or inner.script for inner in found):
            self._emit(argv, state, context)
        inner_context = context._replace(
            conditional=context.conditional or wrapper.maybe,
            background=context.background or wrapper.background,
            masked=context.masked or wrapper.background or wrapper.maybe,
            nested=context.nested + 1,
            depth=context.depth + 1,
            stdin=None,
        )
        inner_state = state if name in ("eval", "command", "builtin", "exec", "time") else state.copy()
        for inner in found:
            if inner.hand_off is not None:
                self._hand_off = self._hand_off or inner.hand_off
            elif inner.script is not None:
                self._script(str(wrapper.scripts), inner.script, inner_state, inner_context)
            elif inner.text is not None:
                if UNKNOWN in inner.text:
                    self.unknown("shell text that is not known before it runs")
                else:
                    self.text(inner.text, inner_state, inner_context)
            elif inner.argv is not None:
                own = name in ("eval", "builtin", "time")
                self._run(inner.argv, inner_state, inner_context, functions=own)
        return name == "exec" and bool(found) and not context.conditional

    def _script(self, kind: str, name: str, state: State, context: _Context) -> None:
        text = self._project(kind, name, state.cwd or None) if self._project is not None else None
        if text is not None:
            fresh = State(cwd=state.cwd)
            self.text(text, fresh, context._replace(nested=context.nested + 1))

    def _project_recipes(self, name: str, argv: tuple[str, ...], state: State, context: _Context) -> None:
        kind = {"make": "make", "gmake": "make", "just": "just"}.get(name)
        match = tools.recognise(name, None, argv)
        if kind is None or self._project is None or (match is not None and match.runs_nothing):
            return
        for goal in [word for word in argv[1:] if not word.startswith("-") and "=" not in word][:8] or [""]:
            self._script(kind, goal, state, context)

    def _shell(self, argv: tuple[str, ...], state: State, context: _Context) -> None:
        inner = State(cwd=state.cwd, pipefail=False)
        position = 1
        while position < len(argv):
            argument = argv[position]
            if argument in ("-o", "+o", "-O", "+O"):
                if argument == "-o" and position + 1 < len(argv):
                    set_option(inner, argv[position + 1], True)
                position += 2
            elif argument.startswith("--"):
                position += 1
            elif argument.startswith("-") and len(argument) > 1:
                inner.errexit = inner.errexit or "e" in argument
                follows = position + 1
                if "o" in argument and follows < len(argv):  # bash -eo pipefail -c
                    set_option(inner, argv[follows], True)
                    follows += 1
                if "c" in argument:
                    self._shell_text(argv[follows] if follows < len(argv) else "", inner, context)
                    return
                position = follows
            else:
                self._emit(argv, state, context)  # a script file
                return
        if context.stdin is not None:
            self._shell_text(context.stdin, inner, context)

    def _shell_text(self, text: str, state: State, context: _Context) -> None:
        if UNKNOWN in text:
            self.unknown("shell text that is not known before it runs")
            return
        self.text(
            text, state, context._replace(nested=context.nested + 1, depth=context.depth + 1, stdin=None)
        )

    def _builtin(self, argv: tuple[str, ...], state: State) -> None:
        name, args = argv[0], argv[1:]
        if name in ("cd", "pushd"):
            targets = [argument for argument in args if argument == "-" or not argument.startswith("-")]
            state.cwd = None if not targets or targets[0] == "-" else resolve(targets[0], state.cwd)
        elif name == "popd":
            state.cwd = None
        elif name == "set":
            set_options(state, args)
        elif name == "alias":
            state.aliases.update(argument.split("=", 1)[0] for argument in args if "=" in argument)
        elif name in wrappers.table().shell.reads_variable or name == "printf":
            for argument in args:
                if argument.isidentifier():
                    state.variables[argument] = None
        elif name in ("source", "."):
            state.variables = dict.fromkeys(state.variables)

    def _tee(self, argv: tuple[str, ...], state: State, context: _Context) -> None:
        append = any(argument in ("-a", "--append") for argument in argv[1:])
        content = None if context.stdin is None or UNKNOWN in context.stdin else context.stdin.encode()
        for argument in argv[1:]:
            if not argument.startswith("-"):
                self._redirect(argument, ">>" if append else ">", content, state.cwd, context)

    def _emit(self, argv: tuple[str, ...], state: State, context: _Context) -> None:
        if len(self._executions) >= _MAX_EXECUTIONS:
            raise _TooMuchError("the command runs too many programs")
        program = argv[0].rsplit("/", 1)[-1]
        builtin = "/" not in argv[0] and program in wrappers.table().shell.builtins
        match = None if builtin else tools.recognise(argv[0], None, argv)
        self._executions.append(
            Execution(
                program=program,
                args=argv[1:],
                tool=match.tool.name if match is not None else None,
                purpose=match.tool.purpose if match is not None and not match.runs_nothing else None,
                cwd=state.cwd if state.cwd and state.cwd.startswith("/") else None,
                conditional=context.conditional,
                masked=context.masked,
                background=context.background,
                builtin=builtin,
            )
        )


# --- helpers ----------------------------------------------------------------------------------------


@cache
def _language() -> tree_sitter.Language:
    return tree_sitter.Language(tree_sitter_bash.language())


def _parser() -> tree_sitter.Parser:
    return tree_sitter.Parser(_language())


def _conditional(execution: Execution) -> Execution:
    return Execution(
        program=execution.program,
        args=execution.args,
        tool=execution.tool,
        purpose=execution.purpose,
        cwd=execution.cwd,
        conditional=True,
        masked=execution.masked,
        background=execution.background,
        builtin=execution.builtin,
    )
