"""What is read of a module: its classes, their fields and methods, and what each method does.

A method becomes a list of what it reads and writes, in the order in which Python evaluates it. An
access knows the branches around it, so that a rule can ask whether it surely comes after a merge.
"""

from __future__ import annotations

import ast
import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Branches: TypeAlias = "tuple[tuple[int, str], ...]"
"""The statements around a piece of code, each with its branch."""

MAKING = frozenset({"__init__", "__post_init__", "__attrs_post_init__", "setup"})
"""Methods that make an object ready, and see no arguments of calls."""

# Fields of nodes in the order of evaluation, where that is another than the order of `ast`.
_ORDER: dict[type[ast.AST], tuple[str, ...]] = {
    ast.Assign: ("value", "targets"),
    ast.AnnAssign: ("value", "target"),
    ast.AugAssign: ("value", "target"),
    ast.NamedExpr: ("value", "target"),
    ast.For: ("iter", "target", "body", "orelse"),
    ast.AsyncFor: ("iter", "target", "body", "orelse"),
    ast.ListComp: ("generators", "elt"),
    ast.SetComp: ("generators", "elt"),
    ast.GeneratorExp: ("generators", "elt"),
    ast.DictComp: ("generators", "key", "value"),
}
_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
_CONDITIONS = ast.If | ast.IfExp | ast.For | ast.AsyncFor | ast.While


class Default(enum.Enum):
    """What a field or a parameter holds where nobody gives it."""

    REQUIRED = enum.auto()
    NONE = enum.auto()
    SET = enum.auto()
    UNKNOWN = enum.auto()


@dataclass(frozen=True, slots=True)
class Variable:
    """A field of a class, or a parameter of a method."""

    name: str
    default: Default
    value: ast.expr | None
    annotation: str
    node: ast.AST


@dataclass(frozen=True, slots=True)
class Call:
    """A call, by the name of its function as far as imports tell it."""

    callee: str
    node: ast.Call

    def argument(self, name: str, method: Method | None = None) -> ast.expr | None:
        """Return what is given to a parameter; by position where the method is known."""
        for given in self.node.keywords:
            if given.arg == name:
                return given.value
        names = [*method.params] if method else []
        at = names.index(name) if name in names else len(self.node.args)
        return self.node.args[at] if at < len(self.node.args) else None


@dataclass(frozen=True, slots=True)
class Access:
    """A read or a write of a local name, or of an attribute such as `self.flag`.

    Args:
        value: what is written, where that is one expression.
        is_test: it is only compared with None.
        is_operand: a merge by hand takes it.
        call: the call that it is an argument of, as it is or behind `not`.
        is_nested: it is in a function inside, which may run at any time.
    """

    name: str
    node: ast.expr
    branches: Branches
    is_write: bool
    value: ast.expr | None
    is_test: bool
    is_operand: bool
    call: Call | None
    is_nested: bool


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge by hand.

    Args:
        spelling: `merge_param`, `first_from`, `if` or `or`.
        param: the parameter among the operands.
        attribute: the attribute among the operands, with its receiver: `self.flag`.
        target: the name that the result is assigned to; empty where it is dropped.
        label: the name that `merge_param` is given for its errors.
        first: how many accesses of the method come before it.
        last: how many come before what follows it.
    """

    node: ast.expr | ast.stmt
    spelling: str
    operands: Sequence[ast.expr]
    param: str | None
    attribute: str | None
    target: str | None
    label: str
    branches: Branches
    first: int
    last: int

    @property
    def is_strict(self) -> bool:
        """Whether both or neither raise."""
        return self.spelling == "merge_param"


@dataclass(frozen=True, slots=True)
class Method:
    """A method, and what it does in the order of evaluation."""

    name: str
    label: str
    node: Function
    receiver: str
    params: dict[str, Variable]
    is_abstract: bool
    accesses: list[Access] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def reads(self, name: str) -> Iterator[Access]:
        """Yield the reads of a name or an attribute, but for merges and tests for None."""
        for access in self.accesses:
            is_it = access.name == name or access.name.startswith(f"{name}.")
            if is_it and not (access.is_write or access.is_test or access.is_operand):
                yield access

    def writes(self, name: str, stop: int | None = None) -> list[Access]:
        """Return the writes of a name or an attribute."""
        return [item for item in self.accesses[:stop] if item.is_write and item.name == name]

    def merges_of(self, name: str) -> list[Merge]:
        """Return the merges of a parameter."""
        return [merge for merge in self.merges if merge.param == name]


@dataclass(frozen=True, slots=True)
class Declared:
    """A parameter of a method, as a `@mergeable` decorator declares it."""

    name: str
    method: str
    attribute: str
    unset: str
    raises: bool


@dataclass(frozen=True, slots=True)
class Class:
    """A class of the module, with what it declares."""

    name: str
    qualname: str
    bases: tuple[str, ...]
    fields: dict[str, Variable]
    methods: dict[str, Method]
    declared: tuple[Declared, ...]


@dataclass(slots=True)
class Module:
    """A module: its imports and its classes."""

    imports: dict[str, str]
    classes: list[Class] = field(default_factory=list)
    bound: set[str] = field(default_factory=set)
    """The names at the top that may stand for something else than one import; for `migrate`."""

    def named(self, name: str) -> Class | None:
        """Return the class of that name, where there is just one."""
        found = [cls for cls in self.classes if cls.name == name]
        return found[0] if len(found) == 1 else None

    def family(self, cls: Class) -> list[Class]:
        """Return the bases of a class in this module, the class, and its subclasses."""
        family = [cls]
        for member in family:
            bases = [base for name in member.bases if (base := self.named(name))]
            family += [base for base in bases if base not in family]
        family.reverse()
        for other in self.classes:
            if other not in family and {*other.bases} & {member.name for member in family}:
                family.append(other)
        return family


def read_module(tree: ast.Module, merge_functions: frozenset[str]) -> Module:
    """Read the classes of a module, nested ones included."""
    module = Module(_read_imports(tree))

    def collect(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = prefix
            if isinstance(child, ast.ClassDef | Function):
                inner = f"{prefix}{child.name}."
            if isinstance(child, ast.ClassDef):
                module.classes.append(
                    _read_class(child, prefix + child.name, module, merge_functions)
                )
            if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
                collect(child, inner)

    collect(tree, "")
    return module


def _read_imports(tree: ast.Module) -> dict[str, str]:
    """Return what the names of imports stand for, wherever in the module they are."""
    imports = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                imports[name] = alias.name if alias.asname else name
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            for alias in node.names:
                imports[alias.asname or alias.name] = f"{origin}.{alias.name}"
    # `merge = nn.merge_param` is another name, too.
    for node in tree.body:
        if isinstance(node, ast.Assign) and (name := resolve(node.value, imports)):
            imports |= {dotted(target): name for target in node.targets}
    return imports


def dotted(node: ast.AST | None) -> str:
    """Return `a.b.c` for such an expression, and nothing for any other."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(names)]) if isinstance(node, ast.Name) else ""


def resolve(node: ast.AST | None, imports: dict[str, str]) -> str:
    """Return the dotted name of an expression, with the import in front resolved."""
    first, dot, rest = dotted(node).partition(".")
    return imports.get(first, first) + dot + rest


def last_name(name: str) -> str:
    """Return the part behind the last dot."""
    return name.rpartition(".")[2]


def text_of(node: ast.AST | None) -> str:
    """Return a literal text, and nothing for anything else."""
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) else ""


def is_none(node: ast.AST | None) -> bool:
    """Whether it is the literal None."""
    return isinstance(node, ast.Constant) and node.value is None


def read_default(node: ast.expr | None) -> Default:
    """Return what a default says; calls such as `field(default=None)` included."""
    if isinstance(node, ast.Call) and last_name(dotted(node.func)) in {"field", "ib", "Field"}:
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        is_made = given.keys() & {"default_factory", "factory"}
        return Default.UNKNOWN if is_made else read_default(given.get("default"))
    if node is None or is_none(node):
        return Default.REQUIRED if node is None else Default.NONE
    is_value = isinstance(node, ast.Constant) and node.value is not ...
    return Default.SET if is_value else Default.UNKNOWN


def _read_class(
    node: ast.ClassDef, qualname: str, module: Module, merge_functions: frozenset[str]
) -> Class:
    fields: dict[str, Variable] = {}
    methods: dict[str, Method] = {}
    for item in node.body:
        if isinstance(item, ast.AnnAssign | ast.Assign):
            target = item.target if isinstance(item, ast.AnnAssign) else item.targets[0]
            annotation = ast.unparse(item.annotation) if isinstance(item, ast.AnnAssign) else ""
            if isinstance(target, ast.Name) and "ClassVar" not in annotation:
                default = read_default(item.value)
                fields[target.id] = Variable(target.id, default, item.value, annotation, item)
        elif isinstance(item, Function) and item.args.posonlyargs + item.args.args:
            decorators = {last_name(dotted(decorator)) for decorator in item.decorator_list}
            if not decorators & {"staticmethod", "classmethod", "overload", "property", "setter"}:
                methods[item.name] = _read_method(item, qualname, module, merge_functions)
    # What the constructor stores as it gets it is a field too.
    init = methods.get("__init__")
    for access in init.accesses if init else ():
        owner, _, name = access.name.rpartition(".")
        param = init.params.get(dotted(access.value)) if init else None
        if init and param and access.is_write and owner == init.receiver:
            fields[name] = Variable(name, param.default, param.value, param.annotation, param.node)
    bases = tuple(last_name(dotted(base)) for base in node.bases)
    declared = tuple(_read_declarations(node, methods, module.imports))
    return Class(node.name, qualname, bases, fields, methods, declared)


def _read_method(
    node: Function, owner: str, module: Module, merge_functions: frozenset[str]
) -> Method:
    arguments, positional = node.args, [*node.args.posonlyargs, *node.args.args]
    # Defaults belong to the last of the positional parameters.
    required = [None] * (len(positional) - len(arguments.defaults))
    given = [*zip(positional, [*required, *arguments.defaults], strict=True)]
    given += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    params = {}
    for arg, value in given[1:]:
        annotation = ast.unparse(arg.annotation) if arg.annotation else ""
        params[arg.arg] = Variable(arg.arg, read_default(value), value, annotation, arg)
    # A docstring, `pass`, `...` and `raise NotImplementedError` do nothing.
    does_something = [
        item
        for item in node.body
        if not isinstance(item, ast.Pass)
        and not (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))
        and not (isinstance(item, ast.Raise) and "NotImplementedError" in ast.unparse(item))
    ]
    decorators = {last_name(dotted(decorator)) for decorator in node.decorator_list}
    is_abstract = not does_something or "abstractmethod" in decorators
    label, receiver = f"{owner}.{node.name}()", positional[0].arg
    method = Method(node.name, label, node, receiver, params, is_abstract)
    body = _Body(method, module.imports, merge_functions)
    for statement in node.body:
        body.visit(statement)
    return method


def _read_declarations(
    node: ast.ClassDef, methods: dict[str, Method], imports: dict[str, str]
) -> Iterator[Declared]:
    """Yield what the `@mergeable` decorators of a class declare."""
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else ast.Call(decorator, [], [])
        name = resolve(call.func, imports)
        if last_name(name) != "mergeable" or not name.startswith("mergeparam"):
            continue
        options = {keyword.arg: keyword.value for keyword in call.keywords}
        names = options.get("method", ast.Constant("__call__"))
        listed = names.elts if isinstance(names, ast.Tuple | ast.List) else [names]
        for method in [methods[text] for item in listed if (text := text_of(item)) in methods]:
            left_open = [
                ast.Constant(param.name)
                for param in method.params.values()
                if last_name(dotted(param.value)) == "MERGED"
            ]
            for param in call.args or left_open:
                is_param = isinstance(param, ast.Call) and bool(param.args)
                own = {k.arg: k.value for k in param.keywords} if is_param else options  # type: ignore[attr-defined]
                text = text_of(param.args[0] if is_param else param)  # type: ignore[attr-defined]
                unset = own.get("attribute_unset") or own.get("unset") or ast.Constant(None)
                raises = "use" not in text_of(own.get("on_conflict"))
                attribute = text_of(own.get("attribute")) or text
                yield Declared(text, method.name, attribute, ast.unparse(unset), raises)


class _Body:
    """Writes down what a method does, in the order of evaluation."""

    def __init__(
        self, method: Method, imports: dict[str, str], merge_functions: frozenset[str]
    ) -> None:
        self._method, self._imports = method, imports
        self._merge_functions = merge_functions
        self._branches: Branches = ()
        self._hidden: list[set[str]] = []
        # By the identity of an expression: what the one around it says of it.
        self._tests: set[int] = set()
        self._operands: set[int] = set()
        self._arguments: dict[int, Call] = {}
        self._values: dict[int, ast.expr | None] = {}
        self._results: dict[int, str] = {}

    def visit(self, node: ast.AST) -> None:
        """Note the accesses, calls and merges in a node."""
        if isinstance(node, ast.Name | ast.Attribute):
            name = dotted(node)
            if isinstance(node, ast.Name) or name.startswith(f"{self._method.receiver}."):
                self._note(name, node, is_write=not isinstance(node.ctx, ast.Load))
            else:
                self.visit(node.value)
        elif isinstance(node, Function | ast.Lambda | ast.ClassDef | _COMPREHENSIONS):
            self._visit_scope(node)
        else:
            first = len(self._method.accesses)
            merges = self._prepare(node)
            self._visit_parts(node)
            for spelling, operands in merges:
                self._add_merge(node, spelling, operands, first)  # type: ignore[arg-type]

    def _visit_parts(self, node: ast.AST) -> None:
        for name in _ORDER.get(type(node), node._fields):
            part = getattr(node, name, None)
            for number, child in enumerate(part if isinstance(part, list) else [part]):
                if not isinstance(child, ast.AST):
                    continue
                before = self._branches
                if name in {"body", "orelse"} and isinstance(node, _CONDITIONS):
                    self._branches += ((id(node), name),)
                elif name in {"handlers", "cases"} or (isinstance(node, ast.BoolOp) and number):
                    self._branches += ((id(node), f"{name} {number}"),)
                self.visit(child)
                self._branches = before

    def _visit_scope(self, node: ast.AST) -> None:
        """Visit what has names of its own, which hide those of the method."""
        if isinstance(node, ast.ClassDef):
            own = {self._method.receiver}
        elif isinstance(node, _COMPREHENSIONS):
            # The first iterable is evaluated outside.
            bound = [name for item in node.generators for name in _names(item.target)]
            own = {*bound} - {*_names(node.generators[0].iter)}
        else:
            for outside in (*node.args.defaults, *filter(None, node.args.kw_defaults)):  # type: ignore[attr-defined]
                self.visit(outside)
            inside = [*ast.walk(node)]
            own = {item.arg for item in inside if isinstance(item, ast.arg)}
            own |= {name for item in inside for name in _names(item, ast.Store)}
            for item in inside:
                own -= {*item.names} if isinstance(item, ast.Nonlocal | ast.Global) else set()
            node = ast.Module(node.body if isinstance(node.body, list) else [node.body], [])  # type: ignore[attr-defined]
        before, self._branches = self._branches, (*self._branches, (id(node), "inside"))
        self._hidden.append(own)
        self._visit_parts(node)
        self._hidden.pop()
        self._branches = before

    def _note(self, name: str, node: ast.expr, *, is_write: bool) -> None:
        if any(name.partition(".")[0] in names for names in self._hidden):
            return
        at, is_nested = id(node), bool(self._hidden)
        is_test, is_operand = at in self._tests, at in self._operands
        value, call = self._values.get(at), self._arguments.get(at)
        self._method.accesses.append(
            Access(
                name, node, self._branches, is_write, value, is_test, is_operand, call, is_nested
            )
        )

    def _prepare(  # noqa: C901 - one kind of node after the other
        self, node: ast.AST
    ) -> Iterable[tuple[str, Sequence[ast.expr]]]:
        """Say of the parts of a node what only the node tells; return the merges that it is."""
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if isinstance(targets[0], ast.Name):
                self._results[id(node.value)] = targets[0].id
            for target in targets:
                self._bind(target, node.value)
        elif isinstance(node, ast.AugAssign) and dotted(node.target):
            self._note(dotted(node.target), node.target, is_write=False)
        elif isinstance(node, ast.Expr):
            self._results[id(node.value)] = ""
        elif isinstance(node, ast.Compare) and tested_for_none(node):
            self._tests.add(id(node.left))
        elif isinstance(node, ast.Call):
            return self._prepare_call(node)
        elif isinstance(node, ast.If) and len(node.body) == 1 and not node.orelse:
            # `if flag is None: flag = self.flag`, or the other way round.
            inner = node.body[0]
            if isinstance(inner, ast.Assign) and isinstance(inner.targets[0], ast.Name):
                pair = (inner.targets[0], inner.value)
                self._results[id(node)] = inner.targets[0].id
                return self._prepare_pair("if", pair, tested_for_none(node.test))
        elif isinstance(node, ast.IfExp):
            return self._prepare_pair("if", (node.body, node.orelse), tested_for_none(node.test))
        elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            return self._prepare_pair("or", node.values, dotted(node.values[0]))
        return ()

    def _prepare_pair(
        self, spelling: str, operands: Sequence[ast.expr], tested: str
    ) -> Iterable[tuple[str, Sequence[ast.expr]]]:
        """Return the merge, where the operands are a parameter and an attribute of the object."""
        names = sorted(map(dotted, operands), key=lambda name: "." in name)
        is_pair = len(names) == 2 and names[0] in self._method.params  # noqa: PLR2004
        if tested not in names or not is_pair or not self._is_attribute(names[1]):
            return ()
        self._operands |= {id(operand) for operand in operands}
        return [(spelling, operands)]

    def _prepare_call(self, node: ast.Call) -> Iterable[tuple[str, Sequence[ast.expr]]]:
        callee = resolve(node.func, self._imports)
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call):
            is_super = dotted(node.func.value.func) == "super"
            callee = f"super.{node.func.attr}" if is_super else ""
        elif callee == "getattr" and (name := text_of(node.args[1] if node.args[1:] else None)):
            self._note(f"{dotted(node.args[0])}.{name}", node, is_write=False)
        call = Call(callee, node)
        self._method.calls.append(call)
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        for item in given:
            is_negated = isinstance(item, ast.UnaryOp) and isinstance(item.op, ast.Not)
            self._arguments[id(item.operand if is_negated else item)] = call  # type: ignore[attr-defined]
        name = last_name(callee)
        if name not in self._merge_functions:
            return ()
        # A strict merge is told the name of the parameter, for its errors.
        is_strict = bool(_label(node)) and len(node.args) < 4  # noqa: PLR2004
        if name == "merge_param" and not is_strict:
            return ()
        options = {"name", "unset", "error_msg"}
        operands = node.args[is_strict:] + [k.value for k in node.keywords if k.arg not in options]
        self._operands |= {id(operand) for operand in operands}
        return [("merge_param" if is_strict else "first_from", operands)]

    def _add_merge(
        self, node: ast.expr, spelling: str, operands: Sequence[ast.expr], first: int
    ) -> None:
        names = [*map(dotted, operands)]
        target = self._results.get(id(node))
        # What follows comes after the target is written, too.
        last = len(self._method.accesses) + bool(target and not isinstance(node, ast.If))
        param = next((name for name in names if name in self._method.params), None)
        attribute = next(filter(self._is_attribute, names), None)
        label = _label(node) if isinstance(node, ast.Call) else ""
        branches = self._branches
        self._method.merges.append(
            Merge(node, spelling, operands, param, attribute, target, label, branches, first, last)
        )

    def _bind(self, target: ast.expr, value: ast.expr | None) -> None:
        """Remember what is written to a target, or to each of several."""
        self._values[id(target)] = value
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, single in zip(target.elts, value.elts, strict=False):
                self._bind(one, single)

    def _is_attribute(self, name: str) -> bool:
        return name.startswith(f"{self._method.receiver}.")


def _label(node: ast.Call) -> str:
    """Return the literal name that a merge is given."""
    named = [*node.args[:1], *(given.value for given in node.keywords if given.arg == "name")]
    return text_of(named[0] if named else None)


def _names(node: ast.AST, context: type[ast.expr_context] = ast.expr_context) -> Iterator[str]:
    nodes = ast.walk(node) if context is ast.expr_context else [node]
    for item in nodes:
        if isinstance(item, ast.Name) and isinstance(item.ctx, context):
            yield item.id


def tested_for_none(node: ast.expr) -> str:
    """Return what `x is None`, `x is not None` or the same with `==` test."""
    is_test = isinstance(node, ast.Compare) and is_none(node.comparators[0])
    return dotted(node.left) if is_test else ""  # type: ignore[attr-defined]
