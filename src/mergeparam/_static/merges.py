"""What the statements of a merge by hand do.

The statements are run on symbols, once for each of the four cases of what is set. All spellings of
a merge come down to one small table then, and statements that do anything else, or anything more,
are never taken for a merge.
"""

from __future__ import annotations

import ast
import itertools
from typing import TYPE_CHECKING, NamedTuple

from mergeparam._static.model import Function, dotted, is_none, last_name, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mergeparam._static.model import Method, Module

ORIGINS = {"merge_param": ("flax", "mergeparam"), "first_from": ("flax",)}
"""The functions that merge, and the packages that they may come from."""

_CALL, _ATTRIBUTE, _UNSET, _RAISES = "call", "attribute", "unset", "raises"
_POLICIES = {_RAISES: "raise", _CALL: "use_call", _ATTRIBUTE: "use_attribute"}


class NotAMergeError(Exception):
    """The statements are no merge that a `Param` can declare; the text says why."""


class _RaisedError(Exception):
    """The merge that is run has raised."""


class Merge(NamedTuple):
    """What a merge does, as the options of a `Param`, and the statements that do it."""

    param: str
    attribute: str
    on_conflict: str
    unset: str
    default: str | None
    statements: tuple[ast.stmt, ...]
    condition: ast.If | ast.IfExp | None = None
    """The condition under which this merges."""
    otherwise: str | None = None
    """What its `else` gives."""

    def argument(self, receiver: str, qualifier: str = "") -> str:
        """Return what declares this merge in `@mergeable(...)`."""
        when = self.condition and f"lambda {receiver}: {ast.unparse(self.condition.test)}"
        options = {
            "attribute": f'"{self.attribute}"' if self.attribute != self.param else None,
            "unset": self.unset if self.unset != "None" else None,
            "on_conflict": f'"{self.on_conflict}"' if self.on_conflict != "raise" else None,
            "default": self.default,
            "when": when,
            "otherwise": (self.otherwise or "None") if when else None,
        }
        given = "".join(f", {name}={text}" for name, text in options.items() if text is not None)
        return f'{qualifier}Param("{self.param}"{given})' if given else f'"{self.param}"'


def merge_function(call: ast.AST, module: Module) -> str | None:
    """Return the name of the function that merges, if this calls one, wherever it is from."""
    if not isinstance(call, ast.Call):
        return None
    names = (resolve(call.func, module.imports), dotted(call.func))
    lasts = {last_name(name) for name in names}
    return next((name for name in ORIGINS if name in lasts), None)


def origin_problem(call: ast.Call, function: str, module: Module) -> str | None:
    """Return why a function of this name may be another one than those that are known."""
    origin = resolve(call.func, module.imports)
    packages = ORIGINS[function]
    head = dotted(call.func).partition(".")[0]
    is_known = origin.startswith(tuple(f"{name}." for name in packages))
    if is_known and origin.endswith(f".{function}") and head not in module.bound:
        return None
    return f"`{ast.unparse(call.func)}` may be another function than that of {packages[0]}"


def paths(method: Method, *nodes: ast.AST) -> set[str]:
    """Return `a.b` for every `self.a.b` in the nodes."""
    found: set[str] = set()
    for node in nodes:
        if path := path_of(method, node):
            found.add(path)
        else:
            found |= paths(method, *ast.iter_child_nodes(node))
    return found


def path_of(method: Method, node: ast.AST) -> str:
    """Return `a.b` for `self.a.b`, and nothing for anything else."""
    head, _, rest = dotted(node).partition(".")
    return rest if head == method.receiver else ""


def names_in(*nodes: ast.AST) -> set[str]:
    """Return all names that stand in the nodes."""
    inside = (inner for node in nodes for inner in ast.walk(node))
    return {inner.id for inner in inside if isinstance(inner, ast.Name)}


def understand(statements: Sequence[ast.stmt], method: Method, module: Module) -> Merge | None:
    """Return the merge that these statements begin with, or nothing if they begin with none.

    Raises:
        NotAMergeError: they begin with a merge that `@mergeable` could not declare.
    """
    first = statements[0]
    merge = _leading_merge(statements, method, module)
    if merge is not None:
        return merge
    match first:
        case ast.Assign(value=ast.IfExp() as value) if _is_of_object(value.test, method):
            only = ast.Assign(first.targets, value.body)
            if (merge := _run_all_cases((only,), method, module)) is not None:
                otherwise = _literal(value.orelse)
                return merge._replace(statements=(first,), condition=value, otherwise=otherwise)
        case ast.If() if _is_of_object(first.test, method):
            merge = _leading_merge(first.body, method, module)
    if merge is None or not isinstance(first, ast.If):
        _look_closer(first, method, module)
        return None
    match first.orelse:
        # An `else` may say what the parameter is there.
        case [ast.Assign(targets=[ast.Name(id=merge.param)]) as other, *_]:
            statements = (*merge.statements, other)
            otherwise = _literal(other.value)
            return merge._replace(condition=first, statements=statements, otherwise=otherwise)
    return merge._replace(condition=first)


def _leading_merge(statements: Sequence[ast.stmt], method: Method, module: Module) -> Merge | None:
    """Return the merge that is made of the first statements: of one, or of up to three."""
    if not isinstance(statements[0], ast.Assign | ast.AnnAssign | ast.If):
        return None
    groups = (tuple(statements[:size]) for size in (3, 2, 1) if size <= len(statements))
    return next((m for group in groups if (m := _run_all_cases(group, method, module))), None)


def _run_all_cases(group: tuple[ast.stmt, ...], method: Method, module: Module) -> Merge | None:
    """Return the merge that these statements are, by what they do in each of the cases."""
    nodes = [node for statement in group for node in ast.walk(statement)]
    stored = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    params, attributes = names_in(*group) & {*method.params}, paths(method, *group)
    if not len(stored) == len(params) == len(attributes) == 1:
        return None
    (target,), (param,), (attribute,) = stored, params, attributes
    unsets = {
        ast.unparse(word.value)
        for node in nodes
        if isinstance(node, ast.Call)
        for word in node.keywords
        if word.arg == "unset"
    } or {"None"}
    # A statement that is not about the parameter is none of the merge.
    if len(unsets) > 1 or any(target not in names_in(statement) for statement in group):
        return None
    (unset,) = unsets

    outcomes: dict[tuple[bool, bool], str] = {}
    for in_call, in_attribute in itertools.product((True, False), repeat=2):
        run = _Run(method, module, attribute, unset, _ATTRIBUTE if in_attribute else _UNSET)
        run.variables[param] = _CALL if in_call else _UNSET
        try:
            run.execute(group)
            outcomes[in_call, in_attribute] = run.variables.get(target, "")
        except _RaisedError:
            outcomes[in_call, in_attribute] = _RAISES
        except NotAMergeError:
            return None
    both, neither = outcomes[True, True], outcomes[False, False]
    is_merge = (outcomes[True, False], outcomes[False, True]) == (_CALL, _ATTRIBUTE)
    if not is_merge or both not in _POLICIES or neither in {_CALL, _ATTRIBUTE, ""}:
        return None
    if target != param:
        raise NotAMergeError(f"its result has another name than the parameter: {target!r}")
    default = {_RAISES: None, _UNSET: unset}.get(neither, neither)
    return Merge(param, attribute, _POLICIES[both], unset, default, group)


class _Run:
    """One run of statements on symbols."""

    def __init__(
        self, method: Method, module: Module, attribute: str, unset: str, held: str
    ) -> None:
        self.method, self.module = method, module
        self.attribute, self.unset, self.held = attribute, unset, held
        self.variables: dict[str, str] = {}

    def execute(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            match statement:
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=value)
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                ):
                    self.variables[name] = self.evaluate(value)
                case ast.If():
                    self.execute(
                        statement.body if self.decide(statement.test) else statement.orelse
                    )
                case ast.Raise(exc=ast.Call(func=ast.Name(id="ValueError"))):
                    raise _RaisedError
                case _:
                    raise NotAMergeError

    def evaluate(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name) and node.id in self.variables:
            return self.variables[node.id]
        if path_of(self.method, node) == self.attribute:
            return self.held
        if isinstance(node, ast.IfExp):
            return self.evaluate(node.body if self.decide(node.test) else node.orelse)
        function = merge_function(node, self.module)
        if not function or not isinstance(node, ast.Call):
            text = _literal(node)
            return _UNSET if text == self.unset else text
        if origin_problem(node, function, self.module):
            raise NotAMergeError
        values = [self.evaluate(operand) for operand in _operands(node, function)]
        given = [value for value in values if value != _UNSET]
        if not given or (function == "merge_param" and len(given) > 1):
            raise _RaisedError
        return given[0]

    def decide(self, node: ast.expr) -> bool:
        match node:
            case ast.BoolOp():
                # One after the other, as Python does.
                values = (self.decide(value) for value in node.values)
                return all(values) if isinstance(node.op, ast.And) else any(values)
            case ast.UnaryOp(op=ast.Not()):
                return not self.decide(node.operand)
            case ast.Compare(ops=[ast.Is() | ast.IsNot() as op], comparators=[other]):
                if ast.unparse(other) == self.unset:
                    return (self.evaluate(node.left) == _UNSET) == isinstance(op, ast.Is)
        raise NotAMergeError


def _operands(call: ast.Call, function: str) -> list[ast.expr]:
    """Return what is merged in a call of one of the functions that merge."""
    named = {word.arg: word.value for word in call.keywords}
    if None in named or any(isinstance(node, ast.Starred) for node in call.args):
        raise NotAMergeError("its arguments are unpacked")
    if function == "first_from":
        return call.args
    given = ("a", "attribute_value", "b", "call_value")
    values = [named[name] for name in given if name in named]
    return [*call.args["name" not in named :], *values]


def _literal(node: ast.expr) -> str:
    """Return a constant as it is written; refuse what may be another value at another time."""
    inner = node.operand if isinstance(node, ast.UnaryOp) else node
    items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if not all(isinstance(item, ast.Constant) for item in items):
        raise NotAMergeError(f"a value is computed: `{ast.unparse(node)}`")
    text = ast.unparse(node)
    return text if '"' in text or "\\" in text else text.replace("'", '"')


def _is_of_object(condition: ast.expr, method: Method) -> bool:
    """Whether a condition is about the object alone, so that a predicate may ask the same."""
    allowed = (
        *(ast.BoolOp, ast.boolop, ast.UnaryOp, ast.unaryop, ast.Compare, ast.cmpop),
        *(ast.BinOp, ast.operator, ast.Attribute, ast.Name, ast.Constant, ast.expr_context),
    )
    local = {*bound_names(method.node)} - {method.receiver}
    # A private name is another one outside of the class's body.
    parts = {part for path in paths(method, condition) for part in path.split(".")}
    names = names_in(condition)
    return (
        bool(parts)
        and not names & local
        and all(isinstance(node, allowed) for node in ast.walk(condition))
        and not any(part.startswith("__") for part in parts | names)
    )


def _look_closer(statement: ast.stmt, method: Method, module: Module) -> None:
    """Raise what is in the way, if a statement that was not understood merges after all."""
    is_block = hasattr(statement, "body") or isinstance(statement, ast.Match)
    for call in () if is_block else ast.walk(statement):
        if isinstance(call, ast.Call) and (function := merge_function(call, module)):
            raise NotAMergeError(_call_problem(call, function, statement, method, module))
    match statement:
        case ast.Assign(
            targets=[ast.Name(id=name)], value=ast.BoolOp(ast.Or(), [first, other])
        ) if dotted(first) == name in method.params and path_of(method, other):
            raise NotAMergeError("`or` asks for truth, so that it overrules a false value too")
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=ast.IfExp(test=test) as value)
            | ast.If(test=test, body=[ast.Assign(targets=[ast.Name(id=name)], value=value)])
        ) if name in method.params and _asks_for_none(test, name):
            operands = (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,)
            for operand in operands:
                # A call makes a value, rather than choosing between two that are there.
                makes = any(isinstance(inner, ast.Call) for inner in ast.walk(operand))
                if not makes and not path_of(method, operand) and paths(method, operand):
                    raise NotAMergeError(f"an operand is computed: `{ast.unparse(operand)}`")


def _call_problem(
    call: ast.Call, function: str, statement: ast.stmt, method: Method, module: Module
) -> str:
    """Return why a call of a function that merges is no merge that can be declared."""
    if problem := origin_problem(call, function, module):
        return problem
    if getattr(statement, "value", None) is not call:
        return "it is a part of a larger statement"
    for operand in _operands(call, function):
        if isinstance(operand, ast.Name) and operand.id not in method.params:
            return f"{operand.id!r} is no parameter of the method"
        if not dotted(operand):
            return f"an operand is computed: `{ast.unparse(operand)}`"
    return "it does not merge one parameter with one attribute"


def _asks_for_none(test: ast.expr, name: str) -> bool:
    match test:
        case ast.Compare(
            left=ast.Name(id=asked), ops=[ast.Is() | ast.IsNot()], comparators=[other]
        ):
            return asked == name and is_none(other)
    return False


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and what is in it, without functions and classes inside."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function | ast.Lambda | ast.ClassDef):
            yield from own_nodes(child)


def bound_names(*scope: ast.AST) -> Iterator[str]:
    """Yield each name that the body of a class or function binds, as often as it does."""
    for node in (inner for part in scope for inner in own_nodes(part)):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                yield name
            case ast.alias():
                yield node.asname or node.name.partition(".")[0]
            case (
                ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
                | ast.MatchMapping(rest=str(name))
            ):
                yield name
        for child in ast.iter_child_nodes(node):
            is_overload = isinstance(child, Function) and any(
                dotted(decorator).endswith("overload") for decorator in child.decorator_list
            )
            if isinstance(child, Function | ast.ClassDef) and not is_overload:
                yield child.name
