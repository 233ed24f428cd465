"""Shell text to what should happen: :func:`parse`.

The grammar is tree-sitter's for bash; what is quoted, echoed or commented is therefore never taken for a
command. What the text leaves open (a variable from outside, a glob, a sourced file) stays open: arguments
hold :data:`~collector.intents.words.UNKNOWN` there; ``parsed`` is False where a program could not be named.
What need not happen is ``conditional``: an execution that is not surely follows if every program is found and
does its work. Bounded by size, nodes, nesting and executions, whatever the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import tree_sitter
import tree_sitter_bash
from tree_sitter import Node

from collector.intents import certainty, nodes
from collector.intents.commands import Commands, sets_path
from collector.intents.nodes import Pipe, Redirected, Statement
from collector.intents.output import output_of
from collector.intents.plans import Context, Project, Redirect, ShellPlan, TooMuchError
from collector.intents.state import State
from collector.intents.words import UNKNOWN, expand, text_of, value_of

__all__ = ["MAX_TEXT", "Project", "Redirect", "ShellPlan", "parse"]

#: longest text that is parsed, characters; tree-sitter needs about 0.5 s for the worst of this size
MAX_TEXT = 64 * 1024
_MAX_NODES = 20_000
_MAX_DEPTH = 80
_MAX_NESTED = 8
_MAX_LOOP = 8


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
        walker.text(command, state, Context())
    except TooMuchError as limit:
        walker.unknown(str(limit))
    return walker.plan()


class _Walker(Commands):
    def __init__(self, project: Project | None) -> None:
        super().__init__(project)
        self._nodes = 0

    def text(self, text: str, state: State, context: Context) -> bool:
        """Shell text of its own: the whole command, or what ``sh -c`` and ``eval`` are given."""
        if context.nested > _MAX_NESTED:
            raise TooMuchError("shell text is nested too deep")
        if len(text) > MAX_TEXT:
            raise TooMuchError("the command is too long")
        tree = _parser().parse(text.encode("utf-8", "replace"))
        if tree.root_node.has_error or nodes.misplaced(tree.root_node, certainty.RESERVED):
            self.doubt("syntax that the parser does not know")
        if "\r" in text:
            self.doubt("carriage returns, which a shell takes for a part of words")
        return self._sequence(tree.root_node, state, context)

    # --- statements ----------------------------------------------------------------------------------

    def visit(self, node: Statement, state: State, context: Context) -> bool:
        """Walks a statement; True if the shell surely ends with it, where it is reached."""
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise TooMuchError("the command has too many parts")
        if context.depth > _MAX_DEPTH:
            raise TooMuchError("the command is nested too deep")
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
            case "compound_statement" if node.children and node.children[0].type == "((":
                self._arithmetic(node, state, context)
            case "compound_statement" | "do_group" | "program" | "else_clause":
                return self._sequence(node, state, context)
            case "negated_command":
                ended = [self.visit(c, state, context._replace(masked=True)) for c in node.named_children]
                return any(ended)
            case "if_statement":
                self._if(node, state, context)
            case "while_statement" | "for_statement" | "c_style_for_statement" | "case_statement":
                self._block(node, state, context)
            case "function_definition":
                self._define(node, state)
            case "variable_assignment" | "variable_assignments" | "declaration_command" | "unset_command":
                self._assign(node, state, context)
            case "test_command":
                self._substitutions(node, state, context)
                program = "[[" if text_of(node).startswith("[[") else "["
                self.emit((program,), state, context)
            case "comment" | "heredoc_body" | "heredoc_end":
                pass
            case _:
                self._substitutions(node, state, context)
        return False

    def _sequence(self, node: Node, state: State, context: Context) -> bool:
        statements: list[tuple[Node, bool]] = []
        for child in node.children:
            if child.is_named and child.type not in ("comment", "heredoc_body", "heredoc_end"):
                statements.append((child, False))
            elif child.type == "&" and statements:
                statements[-1] = (statements[-1][0], True)
            elif child.type.startswith(";;") or child.type == ";&":
                self.doubt("syntax that the parser does not know")
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
            if background:
                self.visit(statement, state.copy(), inner)
                continue
            if self.visit(statement, state, inner):
                return True
            _passed(statement, state)
        return False

    def _list(self, node: Node, state: State, context: Context) -> bool:
        left, operator, right = nodes.sides(node)
        # What the outermost list changed need not have been reached; within it `cd a && b` knows where it is.
        parent = node.parent
        outermost = parent is None or parent.type != "list"
        before = state.copy() if outermost else state
        ended = self._either(left, operator, right, state, context)
        if outermost and not _goes_on(right, operator):
            state.maybe(before)
        return ended

    def _either(self, left: Node, operator: str, right: Statement, state: State, context: Context) -> bool:
        hidden = state.errexit and not context.tail if operator == "&&" else not nodes.fails(right)
        before = state.copy()
        if self.visit(left, state, context._replace(masked=context.masked or hidden)):
            return True
        if operator == "||":
            after = state.copy()
            state.maybe(before)
            ended = self.visit(right, state, context._replace(conditional=True))
            if ended:
                vars(state).update(vars(after))
            else:
                state.maybe(after)
        else:
            ended = self.visit(right, state, context._replace(conditional=True))
        state.exits = state.exits or ended
        return False

    def _pipeline(self, stages: Sequence[Node | Redirected], state: State, context: Context) -> None:
        stages = [stage for stage in stages if isinstance(stage, Redirected) or stage.type != "comment"]
        first = stages[0] if stages else None
        body: Node | None = None
        if isinstance(first, Node):  # `a && b | c`: the tree has `a && b` as the first stage
            body = first.child_by_field_name("body") if first.type == "redirected_statement" else first
            if body is not None and body.type == "list":
                left, operator, right = nodes.sides(body)
                moved = right if body is first else Redirected(first, right)
                self._either(left, operator, Pipe((moved, *stages[1:])), state, context)
                return
        negated = body is not None and body.type == "negated_command"  # `! a > f | b` negates both
        for position, stage in enumerate(stages):
            last = position == len(stages) - 1
            masked = context.masked or negated or not (last or state.pipefail)
            inner = context._replace(masked=masked, stdin=context.stdin if position == 0 else None)
            if not last:
                inner = inner._replace(feeds="pipe")
            if position and isinstance(stage, Node):
                if stage.type == "negated_command":
                    self.doubt("syntax that the parser does not know")
                if nodes.words_of(stage)[:1] == ["time"]:  # not the shell's own here, and seldom installed
                    inner = inner._replace(conditional=True)
            self.visit(stage, state.copy(), inner)
            if position and isinstance(stage, Node) and nodes.shell_reads_stdin(stage):
                self.unknown("a shell reads its commands from a pipe")

    def _redirected(self, node: Node, body: Node | None, state: State, context: Context) -> bool:
        if body is not None and body.type == "list":  # `a && b > f`: the tree has both under the redirection
            left, operator, right = nodes.sides(body)
            return self._either(left, operator, Redirected(node, right), state, context)
        files: list[tuple[str, str, str | None]] = []
        after: list[tuple[str, Node]] = []
        words: list[str] = []
        stdin = context.stdin
        for child in node.children:
            if child.type == "file_redirect":
                files.append(nodes.file_redirect(child, state.scope()))
                words.extend(nodes.words_after_redirect(child, state.scope()))
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
                self._substitutions(child, state, context)
        piped = any(operator == "|" for operator, _ in after)
        status_kept = not piped or state.pipefail
        safe = all(certainty.is_safe_path(operator, path, state) for path, operator, _ in files)
        inner_context = context._replace(
            stdin=stdin,
            masked=context.masked or not status_kept,
            conditional=context.conditional or not safe or certainty.may_end(node, state),
        )
        if after and after[-1][0] == "||" and not nodes.fails(after[-1][1]):
            inner_context = inner_context._replace(masked=True)
        scope, started = state.scope(), state.copy()
        ended = self._body(body, words, state, inner_context)
        sinks = [position for position, (_, _, fd) in enumerate(files) if fd in (None, "1")]
        for position, (path, operator, _) in enumerate(files):
            last = sinks[-1:] == [position]
            content = output_of(body, scope, stdin) if body is not None and last and not words else None
            self.redirect(path, operator, content, started, context)
        for operator, part in after:
            part_context = context._replace(conditional=context.conditional or operator != "|", stdin=None)
            here = state if operator != "|" else state.copy()
            gone = self.visit(part, here, part_context)
            state.exits = state.exits or (gone and operator != "|")
        if ended and not safe:  # `exec > f`: whether it comes to that is not known
            state.exits = True
            return False
        return ended and not after

    def _body(self, body: Node | None, words: list[str], state: State, context: Context) -> bool:
        """What is redirected; the words that follow a redirection belong to it."""
        if body is None:
            return False
        if words and body.type == "command":
            return self._command(body, state, context, tuple(words))
        return self.visit(body, state, context)

    def _define(self, node: Node, state: State) -> None:
        name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
        if name is not None and body is not None:
            state.functions[text_of(name)] = None if state.doubt else body
            if text_of(name) == "command_not_found_handle":
                self.unknown("a function that takes the place of programs")

    def _arithmetic(self, node: Node, state: State, context: Context) -> None:
        """``((x = 2))``"""
        self._substitutions(node, state, context)
        for name in nodes.identifiers(node):
            state.variables[name] = None
        state.exits = state.exits or state.may_errexit

    def _if(self, node: Node, state: State, context: Context) -> None:
        """Each branch starts from what the conditions left; which one was taken is not known afterwards."""
        before = state.copy()
        condition = True
        sure = True
        branches: list[State] = []
        branch = state
        for child in node.children:
            if child.type == "then":
                condition = False
                branch = state.copy()
                branches.append(branch)
            elif child.type in ("elif_clause", "else_clause"):
                other = state.copy()
                if child.type == "elif_clause":
                    self._if(child, other, context._replace(conditional=True))
                else:
                    ended = self._sequence(child, other, context._replace(conditional=True))
                    other.exits = other.exits or ended
                branches.append(other)
            elif child.is_named and child.type != "comment":
                if condition:
                    inner = context._replace(masked=True)
                    ended = self.visit(child, state, inner)
                    sure = sure and not ended
                else:
                    masked = context.masked or not _is_last(child)
                    inner = context._replace(conditional=True, masked=masked)
                    branch.exits = self.visit(child, branch, inner) or branch.exits
                    _passed(child, branch)
        for other in (before, *branches):
            state.maybe(other)
        state.exits = state.exits or not sure

    def _block(self, node: Node, state: State, context: Context) -> None:
        before = state.copy()
        body = node.child_by_field_name("body")
        if node.type == "for_statement" and body is not None:
            self._for(node, body, state, context)
        elif node.type == "case_statement":
            self._case(node, state, context)
        else:
            for child in node.named_children:
                if child != body:
                    self.visit(child, state, context._replace(masked=True))
            for name in nodes.identifiers(node) if node.type == "c_style_for_statement" else ():
                state.variables[name] = None
            if body is not None:
                self._rounds(body, state, context)
        state.maybe(before)

    def _rounds(self, body: Node, state: State, context: Context, variable: str = "") -> None:
        """A body that is run any number of times."""
        for name in (variable, *nodes.assigned(body)):
            state.variables[name] = None
        inner = context._replace(conditional=True, masked=not state.errexit or context.masked)
        cwd = state.cwd
        if nodes.moves(body):
            state.cwd = None
        state.exits = self.visit(body, state, inner) or state.exits
        state.cwd = cwd if state.cwd == cwd else None
        state.breaks = max(0, state.breaks - 1)

    def _case(self, node: Node, state: State, context: Context) -> None:
        start = state.copy()
        for child in node.named_children:
            if child.type != "case_item":
                self._substitutions(child, state, context)
                continue
            branch = start.copy()
            parts = [part for part in child.named_children if part.type != "comment"]
            for part in parts:
                inner = context._replace(conditional=True, masked=context.masked or part != parts[-1])
                branch.exits = self.visit(part, branch, inner) or branch.exits
                _passed(part, branch)
            state.maybe(branch)

    def _for(self, node: Node, body: Node, state: State, context: Context) -> None:
        name = node.child_by_field_name("variable")
        variable = text_of(name) if name is not None else ""
        values = node.children_by_field_name("value")
        items = [item for value in values for item in expand(value, state.scope())]
        for value in values:
            self._substitutions(value, state, context)
        known = items and len(items) <= _MAX_LOOP and not any(UNKNOWN in item for item in items)
        if not known or node.children[0].type == "select" or certainty.may_end(body, state):
            self._rounds(body, state, context, variable)
            return
        outer = state.breaks
        for position, item in enumerate(items):
            state.variables[variable] = item
            hidden = position < len(items) - 1 and not state.errexit
            inner = context._replace(masked=context.masked or hidden, tail=context.tail and not hidden)
            state.exits = self.visit(body, state, inner) or state.exits
        state.breaks = max(outer, state.breaks - 1)

    def _assign(self, node: Node, state: State, context: Context) -> None:
        alone = node.type == "variable_assignment"
        self._substitutions(node, state, context, masked=not alone)
        if certainty.may_end(node, state) or (state.readonly and node.type != "unset_command"):
            state.exits = True
        if node.type == "unset_command":
            words = [text_of(child) for child in node.named_children]
            for word in words:
                state.variables.pop(word, None)
                if word in state.functions:
                    state.functions[word] = None
            state.path_lost = state.path_lost or "PATH" in words
            return
        declares = node.type == "declaration_command"
        if declares and any(word in ("-f", "-fx", "-xf") for word in text_of(node).split()[1:2]):
            self.unknown("a function that other programs are given")
        state.readonly = state.readonly or (declares and nodes.makes_readonly(node))
        for assignment in [node] if alone else node.named_children:
            name = assignment.child_by_field_name("name")
            if assignment.type != "variable_assignment" or name is None:
                if declares:
                    self._declared(assignment, state)
                continue
            state.path_lost = state.path_lost or sets_path(assignment)
            value = assignment.child_by_field_name("value")
            known = value_of(value, state.scope()) if value is not None else ""
            plain = (
                name.type == "variable_name"
                and UNKNOWN not in known
                and b"+=" not in (assignment.text or b"")[:200]
                and not declares | (text_of(name) == "IFS")
            ) or (declares and name.type == "variable_name" and UNKNOWN not in known and _is_export(node))
            state.variables[text_of(name)] = known if plain else None
        if "IFS" in state.variables:
            state.variables = dict.fromkeys(state.variables)  # how values split is not known any more

    def _declared(self, node: Node, state: State) -> None:
        """``declare "$name=value"``, ``export "X=2"``: which variable is set may not be known."""
        if node.type in ("string", "raw_string", "concatenation", "simple_expansion", "expansion"):
            name = value_of(node, state.scope()).split("=", 1)[0]
            if UNKNOWN in name:
                state.variables = dict.fromkeys(state.variables)
            else:
                state.variables[name] = None

    def _substitutions(
        self, node: Node, state: State, context: Context, masked: bool = True, *, feeds: bool = False
    ) -> None:
        """Runs the command substitutions inside words. ``feeds``: a command is given them."""
        for name in certainty.defaults(node):
            state.variables[name] = None
        stack = [node]
        while stack:
            current = stack.pop()
            self._nodes += 1
            if self._nodes > _MAX_NODES:
                raise TooMuchError("the command has too many parts")
            if current.type in ("command_substitution", "process_substitution"):
                if context.depth > _MAX_DEPTH:
                    raise TooMuchError("the command is nested too deep")
                inner = context._replace(
                    masked=context.masked or masked or current.type == "process_substitution",
                    depth=context.depth + 1,
                    stdin=None,
                    tail=False,
                    feeds="words" if feeds else None,
                )
                if b"\\`" in (current.text or b""):
                    self.unknown("a command inside backquotes inside backquotes")
                self._sequence(current, state.copy(), inner)
            else:
                stack.extend(reversed(current.named_children))

    def _command(self, node: Node, state: State, context: Context, more: tuple[str, ...] = ()) -> bool:
        argv: list[str] = []
        inner_state = state
        risky = certainty.may_end(node, state)
        for child in node.named_children:
            if child.type == "herestring_redirect":
                self._substitutions(child, state, context, feeds=True)
                context = context._replace(stdin=nodes.herestring(child, state.scope()))
            elif child.type == "variable_assignment":
                self._substitutions(child, state, context)
                if sets_path(child):
                    context = context._replace(conditional=True)
            elif child.type == "file_redirect":
                path, operator, _ = nodes.file_redirect(child, state.scope())
                self._substitutions(child, state, context)
                self.redirect(path, operator, None, state, context)
                if not certainty.is_safe_path(operator, path, state):
                    context = context._replace(conditional=True)
            elif child.type in ("subshell", "compound_statement"):
                self.visit(child, state, context)  # `time ( … )`: the tree has it as an argument
            else:
                self._substitutions(child, state, context, feeds=True)
                word = child
                if child.type == "command_name" and child.named_child_count:
                    word = child.named_children[0]
                argv.extend(expand(word, state.scope()))
        if not argv:
            return False
        if risky:
            context = context._replace(conditional=True)
        if argv[0] == "time" and argv[-1:] != ["time"] and "{" in argv[1:3]:
            argv = argv[argv.index("{") + 1 :]  # `time { a; }`: the closing brace is a statement of its own
            self.unknown("a group that is timed")
        ended = self.run((*argv, *more), inner_state, context) if argv else False
        if risky:
            state.exits = True
            return False
        return ended


# --- helpers ----------------------------------------------------------------------------------------


def _passed(statement: Node, state: State) -> None:
    """What is not certain any more once the shell went on after ``statement``, whatever its status was."""
    if nodes.words_of(statement)[:1] in (["cd"], ["pushd"], ["popd"]) and not state.errexit:
        state.may_be_elsewhere = True
    if state.may_errexit and certainty.may_fail(statement, state):
        state.exits = True


def _goes_on(right: Node, operator: str) -> bool:
    """``cd a || exit 1``: what follows is reached only where the left side went well."""
    return operator == "||" and nodes.leaves(right)


def _is_last(child: Node) -> bool:
    """Whether ``child`` is the last statement of its branch."""
    following = child.next_named_sibling
    while following is not None and following.type == "comment":
        following = following.next_named_sibling
    return following is None or following.type in ("elif_clause", "else_clause")


def _is_export(node: Node) -> bool:
    return text_of(node).startswith("export")


@cache
def _language() -> tree_sitter.Language:
    return tree_sitter.Language(tree_sitter_bash.language())


def _parser() -> tree_sitter.Parser:
    return tree_sitter.Parser(_language())
