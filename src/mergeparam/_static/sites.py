"""The merges by hand in a file, and for each of them why it stays, if it does.

A merge is declared only where the class then behaves exactly as before.
"""

from __future__ import annotations

import ast
import collections
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mergeparam._static.check import MERGE_FUNCTIONS
from mergeparam._static.merges import (
    Merge,
    NotAMergeError,
    bound_names,
    merge_function,
    own_nodes,
    paths,
    understand,
)
from mergeparam._static.model import Class as Read
from mergeparam._static.model import (
    Default,
    Function,
    Module,
    dotted,
    last_name,
    read_module,
    resolve,
)
from mergeparam._static.rules import READS_ALL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mergeparam._static.model import Method

_CONSTRUCTORS = {
    "__init__",
    "__new__",
    "__post_init__",
    "__init_subclass__",
    "__attrs_post_init__",
}
_TRUSTED = {
    *(
        "abc",
        "beartype",
        "contextlib",
        "equinox",
        "flax",
        "functools",
        "haiku",
        "jax",
        "jaxtyping",
    ),
    *("torch", "typeguard", "typing", "typing_extensions"),
}
"""Packages whose decorators of methods neither change arguments nor hide the function inside."""
_UNTRUSTED = ("torch.jit", "functools.singledispatch")
_LIFTS = {"jit", "remat", "checkpoint", "vmap", "scan", "map_variables", "jvp", "vjp"}
_EARLY = {ast.Return: "returns", ast.Yield: "yields", ast.YieldFrom: "yields"}


class Site(NamedTuple):
    """A place that merges by hand."""

    line: int
    param: str
    method: Method | None = None
    merge: Merge | None = None
    reason: str | None = None
    """Why it stays as it is."""


@attrs.define
class Class:
    """A class with merges in its methods."""

    read: Read
    node: ast.ClassDef
    sites: list[Site]

    @property
    def converted(self) -> list[tuple[Method, Merge]]:
        """The merges that can be declared, each with its method."""
        return [
            (site.method, site.merge)
            for site in self.sites
            if site.method and site.merge and site.reason is None
        ]

    def refuse(self, reason: str) -> None:
        """Let all merges of this class stay."""
        self.sites = [site._replace(reason=site.reason or reason) for site in self.sites]


@attrs.define
class Source:
    """A file that has been read."""

    text: str
    hoist: bool
    tree: ast.Module
    module: Module
    owners: dict[int, ast.ClassDef]
    """By the identity of a function: the class that it stands in."""
    classes: list[Class] = attrs.field(factory=list)
    elsewhere: list[Site] = attrs.field(factory=list)
    """Merges in no method of an object."""

    @property
    def imports(self) -> dict[str, str]:
        """What the imported names stand for."""
        return self.module.imports

    def stands_alone(self, statement: ast.stmt) -> bool:
        """Whether no other statement begins or ends on the lines of this one."""
        lines = self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        before = lines[statement.lineno - 1].encode()[: statement.col_offset]
        last = (statement.end_lineno or 0) - 1
        after = lines[last].encode()[statement.end_col_offset :].strip()
        return not before.strip() and (not after or after.startswith(b"#"))


def read_source(text: str, *, hoist: bool) -> Source:
    """Return a file with its merges by hand.

    Raises:
        SyntaxError: the text is no Python, or of a newer version than the one that runs.
    """
    tree = ast.parse(text)
    module = read_module(tree, MERGE_FUNCTIONS)
    owners = {
        id(item): node
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for item in node.body
    }
    module.bound = _read_bound(tree, module.imports)
    source = Source(text, hoist, tree, module, owners)
    seen: set[int] = set()
    for read in module.classes:
        sites: list[Site] = []
        for method in read.methods.values():
            sites += _read_method(method, read, source)
            seen |= {id(node) for node in ast.walk(method.node)}
        if sites:
            own = owners[id(next(iter(read.methods.values())).node)]
            cls = Class(read, own, sites)
            source.classes.append(cls)
            if problem := _class_problem(own, source):
                cls.refuse(problem)
    for call in ast.walk(tree):
        if id(call) not in seen and (function := merge_function(call, module)):
            reason = "it stands in no method of an object"
            source.elsewhere.append(Site(call.lineno, function, reason=reason))  # type: ignore[attr-defined]
    return source


def _read_bound(tree: ast.Module, imports: dict[str, str]) -> set[str]:
    """Return the names that may stand for something else than one import says."""
    origins = collections.defaultdict[str, set[str]](set)
    seen: set[int] = set()
    for node in own_nodes(tree):
        match node:
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                module = f"{getattr(node, 'module', None)}." if hasattr(node, "module") else ""
                for alias in names:
                    name = alias.asname or alias.name.partition(".")[0]
                    origins[name].add(module + (alias.name if alias.asname else name))
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if dotted(value):
                # Such as `merge_param = linen.merge_param`.
                origins[name].add(resolve(value, imports))
                seen.add(id(node.targets[0]))
            case ast.Name(id=name, ctx=ast.Store()) if id(node) not in seen:
                origins[name].add("")
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function | ast.ClassDef):
                origins[child.name].add("")
    return {name for name, found in origins.items() if len(found) > 1 or "" in found}


def _read_method(method: Method, read: Read, source: Source) -> list[Site]:
    """Return the merges in a method, in their order."""
    body, sites = list(method.node.body), list[Site]()
    if ast.get_docstring(method.node, clean=False) is not None:
        del body[0]
    problem = _method_problem(method, source)
    passed: list[ast.stmt] = []
    while body:
        first, size, merge, reason = body[0], 1, None, None
        try:
            merge = understand(body, method, source.module)
        except NotAMergeError as error:
            reason = str(error)
        if merge is not None:
            size = 1 if merge.condition else len(merge.statements)
            reason = problem or _merge_problem(merge, method, passed, read, source)
            if any(site.reason is None and site.param == merge.param for site in sites):
                reason = f"{merge.param!r} is merged before it already"
        if merge is None and reason is None:
            sites += _read_blocks(first, method, source)
        else:
            param = merge.param if merge else _likely_param(first, method)
            sites.append(Site(first.lineno, param, method, merge, reason))
        if merge is None or reason is not None:
            passed += body[:size]
        del body[:size]
    return sites


def _read_blocks(block: ast.stmt, method: Method, source: Source) -> Iterator[Site]:
    """Yield the merges in the blocks of a statement; none of them can be declared."""
    kind = type(block).__name__.lower().removeprefix("async").replace("functiondef", "function")
    for node in ast.walk(block):
        if isinstance(node, ast.stmt) and node is not block:
            reason = f"it stands in a `{kind}`, and not in the body of the method itself"
            try:
                is_merge = understand([node], method, source.module) is not None
            except NotAMergeError as error:
                is_merge, reason = True, str(error)
            if is_merge:
                yield Site(node.lineno, _likely_param(node, method), method, reason=reason)


def _likely_param(statement: ast.stmt, method: Method) -> str:
    """Return the parameter that a statement is most likely about."""
    names = [node.id for node in ast.walk(statement) if isinstance(node, ast.Name)]
    return next((name for name in names if name in method.params), names[0])


def _class_problem(node: ast.ClassDef, source: Source) -> str | None:
    """Return why nothing in a class can be declared."""
    for decorator in node.decorator_list:
        origin = _decorator_origin(decorator, source)
        if origin.startswith(("flax.", "jax.")) and last_name(origin) in _LIFTS:
            return f"`@{ast.unparse(decorator)}` lifts the class; lift it where it is used"
    # TensorFlow compiles what it calls from source again, but leaves merged methods alone.
    if any(origin.partition(".")[0] == "tensorflow" for origin in source.imports.values()):
        return "TensorFlow's AutoGraph may compile the method now, and leaves merged methods alone"
    return None


def _method_problem(method: Method, source: Source) -> str | None:
    """Return why nothing can be merged in a method, whatever is in its body."""
    if method.name in _CONSTRUCTORS:
        return f"{method.name}() makes the object"
    if [*bound_names(source.owners[id(method.node)])].count(method.name) > 1:
        return f"the class defines {method.name}() more than once"
    for node in method.node.decorator_list:
        origin = _decorator_origin(node, source)
        if origin.partition(".")[0] not in _TRUSTED or origin.startswith(_UNTRUSTED):
            return f"`@{ast.unparse(node)}` may change the arguments before they are merged"
    return None


def _decorator_origin(node: ast.expr, source: Source) -> str:
    """Return where a decorator comes from, as one would import it; `partial` is looked through."""
    origin = resolve(node.func if isinstance(node, ast.Call) else node, source.imports)
    if origin == "functools.partial" and isinstance(node, ast.Call) and node.args:
        return resolve(node.args[0], source.imports)
    return origin


def _merge_problem(  # noqa: PLR0911 - one reason after the other
    merge: Merge, method: Method, passed: list[ast.stmt], read: Read, source: Source
) -> str | None:
    """Return why a merge that is understood cannot become the first thing that the method does."""
    param, attribute = merge.param, f"{method.receiver}.{merge.attribute}"
    default = method.params[param].value
    if default is None:
        return f"{param!r} has no default, so that every call has to give it"
    if ast.unparse(default) != merge.unset:
        if dotted(default).endswith("MERGED"):
            return f"@mergeable merges {param!r} already"
        return f"the default of {param!r} is {ast.unparse(default)}, and not {merge.unset}"
    block = [merge.condition] if isinstance(merge.condition, ast.If) else []
    if not all(map(source.stands_alone, (*block, *merge.statements))):
        return "it shares a line with another statement"
    if problem := _passed_problem(merge, method, passed, source):
        return problem

    removed = {id(node) for statement in merge.statements for node in ast.walk(statement)}
    for access in method.accesses:
        is_read = not access.is_write and f"{access.name}.".startswith(f"{attribute}.")
        if is_read and id(access.node) not in removed:
            return f"line {access.node.lineno} reads {attribute} once more"
    if merge.on_conflict != "use_call" and (problem := _field_problem(merge, read, source)):
        return problem
    return _condition_problem(merge, method, removed) if merge.condition else None


def _passed_problem(
    merge: Merge, method: Method, passed: list[ast.stmt], source: Source
) -> str | None:
    """Return why a merge cannot move up over the statements before it."""
    condition = [merge.condition.test] if merge.condition else []
    used = {merge.attribute, *paths(method, *condition)}
    words = {merge.param, *(part for path in used for part in path.split("."))}
    words |= {"locals", "vars", "setattr", "__dict__"}
    for statement in passed:
        if method.receiver in bound_names(ast.Module([statement], [])):
            return f"line {statement.lineno} changes {method.receiver!r} before it"
        for node in () if isinstance(statement, Function) else own_nodes(statement):
            if type(node) in _EARLY:
                return f"line {node.lineno} {_EARLY[type(node)]} before it"  # type: ignore[attr-defined]
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and node.id == merge.param:
                does = "reads" if isinstance(node.ctx, ast.Load) else "changes"
                return f"line {node.lineno} {does} {merge.param!r} before it"
            word = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
            word = word or getattr(node, "id", None) or getattr(node, "attr", None)
            if isinstance(word, str) and word in words:
                return f"line {node.lineno} mentions {word!r} before it"  # type: ignore[attr-defined]
    if passed and not source.hoist:
        return f"other statements stand before it, from line {passed[0].lineno} on; see --hoist"
    return None


def _field_problem(merge: Merge, read: Read, source: Source) -> str | None:
    """Return why the constructor's default does not let the merge be declared."""
    owner: Read | None = read
    for _ in source.module.classes:
        if owner is None or merge.attribute in owner.fields:
            break
        owner = next((base for name in owner.bases if (base := source.module.named(name))), None)
    held = owner.fields.get(merge.attribute) if owner else None
    if held is None or held.value is None or ast.unparse(held.value) == merge.unset:
        return None
    # A call such as `field(default=None)`; one that makes the value decides for itself.
    is_unset = held.default is Default.NONE and merge.unset == "None"
    if is_unset or (held.default is not Default.SET and isinstance(held.value, ast.Call)):
        return None
    text = ast.unparse(held.value)
    return f"the constructor's default for {merge.attribute!r} is {text}, which counts as set"


def _condition_problem(merge: Merge, method: Method, removed: set[int]) -> str | None:
    """Return why a predicate and one value cannot say what the condition says."""
    assert merge.condition is not None  # noqa: S101 - for type checkers
    test = ast.unparse(merge.condition.test)
    used = paths(method, merge.condition.test)
    for access in method.accesses:
        if access.is_write and access.name.removeprefix(f"{method.receiver}.") in used:
            return f"line {access.node.lineno} changes what `{test}` asks for"
    if merge.otherwise is not None:
        return None
    line = _line_without(test, merge.param, method.node.body, removed)
    if line is None:
        return None
    return (
        f"line {line} reads {merge.param!r} where `{test}` is false, too, and gets what the call "
        f"gave; write `else: {merge.param} = ...` with the value that is meant"
    )


def _line_without(
    test: str, param: str, nodes: Iterable[ast.AST], removed: set[int]
) -> int | None:
    """Return a line that reads the parameter where the condition may be false."""
    for node in nodes:
        inner: Iterable[ast.AST] = () if id(node) in removed else ast.iter_child_nodes(node)
        match node:
            case ast.Name(id=name) if name in {param, *READS_ALL} and id(node) not in removed:
                return node.lineno
            case ast.If() if ast.unparse(node.test) == test:
                inner = node.orelse
            case ast.IfExp() if ast.unparse(node.test) == test:
                inner = [node.orelse]
            case ast.BoolOp(op=ast.And(), values=[first, *_]) if ast.unparse(first) == test:
                continue
        if (line := _line_without(test, param, inner, removed)) is not None:
            return line
    return None
