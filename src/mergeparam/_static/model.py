"""What is read of a module: its classes, their fields and methods, and what each method does.

A method becomes a list of what it reads and writes in the order in which Python evaluates it. An
access knows the branches that it stands in, so that a rule can ask whether it surely comes after a
merge.
"""

from __future__ import annotations

import ast
import contextlib
import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mergeparam._static.check import Settings

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Branches: TypeAlias = "tuple[tuple[int, int], ...]"
"""The statements around a piece of code, each with the number of its branch."""

STORES = frozenset({"__init__", "__post_init__", "__attrs_post_init__", "__setup__", "setup"})
"""Methods that make an object ready; they see no arguments of calls."""


class Default(enum.Enum):
    """What a field or a parameter holds where nobody gives it."""

    REQUIRED = "no default"
    NONE = "None"
    SET = "another value than None"
    UNKNOWN = "what cannot be told from the source"


@dataclass(frozen=True, slots=True)
class Variable:
    """A field of a class, or a parameter of a method."""

    name: str
    default: Default
    value: ast.expr | None
    annotation: str
    node: ast.AST


@dataclass(frozen=True, slots=True)
class Access:
    """A read or a write of a local name, or of an attribute such as `self.flag`."""

    name: str
    node: ast.expr
    branches: Branches
    is_write: bool = False
    value: ast.expr | None = None
    """What is written, where that is one expression."""
    is_test: bool = False
    """Whether it is only compared with None."""
    is_operand: bool = False
    """Whether a merge by hand takes it."""
    call: Call | None = None
    """The call that it is an argument of, as it is or behind `not`."""
    is_nested: bool = False
    """Whether it is in a function inside, which may run at any time."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call: by the name of its function, resolved as far as imports tell it."""

    callee: str
    node: ast.Call
    branches: Branches

    def argument(self, name: str) -> ast.expr | None:
        """Return what is given by keyword."""
        return next((given.value for given in self.node.keywords if given.arg == name), None)


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge by hand. It is `strict` where both or neither are an error."""

    node: ast.expr | ast.stmt
    spelling: str
    operands: tuple[ast.expr, ...]
    param: str | None
    """The parameter among the operands."""
    attribute: str | None
    """The attribute among the operands, with its receiver: `self.flag`."""
    target: str | None
    """The name that the result is assigned to."""
    label: str | None
    """The name that `merge_param` is given for its errors."""
    branches: Branches
    is_dropped: bool
    first: int
    """How many accesses of the method come before it."""
    last: int
    """How many come before what follows it."""

    @property
    def is_strict(self) -> bool:
        """Whether both or neither raise."""
        return self.spelling == "merge_param"


@dataclass(frozen=True, slots=True)
class Method:
    """A method, and what it does in the order of evaluation."""

    name: str
    qualname: str
    node: Function
    receiver: str
    params: dict[str, Variable]
    is_abstract: bool
    accesses: list[Access] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def reads(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[Access]:
        """Yield the reads of a name or an attribute, but for merges and tests for None."""
        for access in self.accesses[start:stop]:
            is_it = access.name == name or access.name.startswith(f"{name}.")
            if is_it and not (access.is_write or access.is_test or access.is_operand):
                yield access

    def writes(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[Access]:
        """Yield the writes of a name or an attribute."""
        for access in self.accesses[start:stop]:
            if access.is_write and access.name == name:
                yield access

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
    is_strict: bool
    node: ast.AST


@dataclass(frozen=True, slots=True)
class Class:
    """A class of the module, with what it declares."""

    qualname: str
    node: ast.ClassDef
    bases: tuple[str, ...]
    fields: dict[str, Variable]
    methods: dict[str, Method]
    declared: tuple[Declared, ...]


@dataclass(slots=True)
class Module:
    """A module: its imports and its classes."""

    imports: dict[str, str] = field(default_factory=dict)
    classes: list[Class] = field(default_factory=list)

    def named(self, name: str) -> Class | None:
        """Return the class of that name, where there is just one."""
        found = [cls for cls in self.classes if cls.qualname.rpartition(".")[2] == name]
        return found[0] if len(found) == 1 else None

    def family(self, cls: Class) -> list[Class]:
        """Return a class with its bases and subclasses in this module, the bases first."""
        family = [cls]
        for member in family:
            family += [
                base for name in member.bases if (base := self.named(name)) and base not in family
            ]
        family.reverse()
        names = {member.qualname.rpartition(".")[2] for member in family}
        for other in self.classes:
            if other not in family and names & {*other.bases}:
                family.append(other)
                names.add(other.qualname.rpartition(".")[2])
        return family


def read_module(tree: ast.Module, settings: Settings) -> Module:
    """Read the classes of a module, nested ones included."""
    module = Module()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                module.imports[name] = alias.name if alias.asname else name
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            for alias in node.names:
                module.imports[alias.asname or alias.name] = f"{origin}.{alias.name}"

    def collect(body: Iterable[ast.AST], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                module.classes.append(_read_class(node, prefix + node.name, module, settings))
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                collect(node.body, f"{prefix}{node.name}.")
            else:
                collect((child for child in ast.iter_child_nodes(node) if is_block(child)), prefix)

    collect(tree.body, "")
    return module


def is_block(node: ast.AST) -> bool:
    """Whether a definition may stand in it."""
    return isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case)


def dotted(node: ast.AST | None) -> str:
    """Return `a.b.c` for such an expression, and nothing for any other."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(names)]) if isinstance(node, ast.Name) else ""


def resolve(node: ast.AST, imports: dict[str, str]) -> str:
    """Return the dotted name of an expression, with the import in front resolved."""
    first, dot, rest = dotted(node).partition(".")
    return imports.get(first, first) + dot + rest


def is_none(node: ast.AST | None) -> bool:
    """Whether it is the literal None."""
    return isinstance(node, ast.Constant) and node.value is None


def read_default(node: ast.expr | None) -> Default:
    """Return what a default says; calls such as `field(default=None)` included."""
    if node is None:
        return Default.REQUIRED
    if isinstance(node, ast.Call):
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        if {"default_factory", "factory"} & given.keys():
            return Default.UNKNOWN
        is_field = dotted(node.func).rpartition(".")[2] in {"field", "ib", "attrib", "Field"}
        return read_default(given.get("default")) if is_field else Default.UNKNOWN
    if is_none(node):
        return Default.NONE
    return (
        Default.SET
        if isinstance(node, ast.Constant) and node.value is not ...
        else Default.UNKNOWN
    )


def _read_class(node: ast.ClassDef, qualname: str, module: Module, settings: Settings) -> Class:
    fields: dict[str, Variable] = {}
    methods: dict[str, Method] = {}
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            name, annotation = item.target.id, ast.unparse(item.annotation)
            if not annotation.startswith(("ClassVar", "typing.ClassVar")):
                default = read_default(item.value)
                fields[name] = Variable(name, default, item.value, annotation, item)
        elif isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
            name = item.targets[0].id
            fields[name] = Variable(name, read_default(item.value), item.value, "", item)
        elif isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = {
                dotted(decorator).rpartition(".")[2] for decorator in item.decorator_list
            }
            if item.args.args + item.args.posonlyargs and not decorators & {
                *("staticmethod", "classmethod", "overload", "property", "setter"),
            }:
                is_abstract = "abstractmethod" in decorators
                methods[item.name] = _read_method(item, qualname, is_abstract, module, settings)
    # What the constructor stores as it gets it is a field too.
    if init := methods.get("__init__"):
        for access in init.accesses:
            name = access.name.removeprefix(f"{init.receiver}.")
            if access.is_write and isinstance(access.value, ast.Name) and name != access.name:
                if param := init.params.get(access.value.id):
                    fields[name] = Variable(
                        name, param.default, param.value, param.annotation, param.node
                    )
    bases = tuple(resolve(base, module.imports).rpartition(".")[2] for base in node.bases)
    declared = tuple(_read_declarations(node, methods, module.imports))
    return Class(qualname, node, bases, fields, methods, declared)


def _read_method(
    node: Function,
    owner: str,
    is_abstract: bool,  # noqa: FBT001
    module: Module,
    settings: Settings,
) -> Method:
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + [*arguments.defaults]
    given = [*zip(positional, defaults, strict=True)]
    given += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    params = {
        arg.arg: Variable(
            arg.arg,
            read_default(value),
            value,
            ast.unparse(arg.annotation) if arg.annotation else "",
            arg,
        )
        for arg, value in given[1:]
    }
    body = [item for item in node.body if not _says_nothing(item)]
    qualname, receiver = f"{owner}.{node.name}", positional[0].arg
    method = Method(node.name, qualname, node, receiver, params, is_abstract or not body)
    _Body(method, module.imports, settings).run()
    return method


def _says_nothing(node: ast.stmt) -> bool:
    """Whether it is a docstring, `pass`, `...` or `raise NotImplementedError`."""
    if isinstance(node, ast.Raise):
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return dotted(raised) == "NotImplementedError"
    is_constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_constant or isinstance(node, ast.Pass)


def _read_declarations(
    node: ast.ClassDef, methods: dict[str, Method], imports: dict[str, str]
) -> Iterator[Declared]:
    """Yield what the `@mergeable` decorators of a class declare."""
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        name = resolve(call.func if call else decorator, imports)
        if name.rpartition(".")[2] != "mergeable" or not name.startswith("mergeparam"):
            continue
        options = {keyword.arg: keyword.value for keyword in call.keywords} if call else {}
        names = options.get("method", ast.Constant("__call__"))
        listed = names.elts if isinstance(names, ast.Tuple | ast.List) else [names]
        targets = [methods[text] for item in listed if (text := _text(item)) in methods]
        for method in targets:
            params: list[ast.expr] = [*call.args] if call else []
            if not params:
                params = [
                    ast.copy_location(ast.Constant(param.name), decorator)
                    for param in method.params.values()
                    if param.value is not None and dotted(param.value).endswith("MERGED")
                ]
            for param in params:
                own, text = options, _text(param)
                if isinstance(param, ast.Call) and param.args:
                    own = {keyword.arg: keyword.value for keyword in param.keywords}
                    text = _text(param.args[0])
                unset = own.get("attribute_unset") or own.get("unset") or ast.Constant(None)
                is_strict = "use" not in _text(own.get("on_conflict"))
                attribute = _text(own.get("attribute")) or text
                if text:
                    unset_text = ast.unparse(unset)
                    yield Declared(text, method.name, attribute, unset_text, is_strict, decorator)


def _text(node: ast.AST | None) -> str:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if is_text else ""  # type: ignore[union-attr,return-value]  # checked above


class _Body(ast.NodeVisitor):
    """Writes down what a method does, in the order of evaluation."""

    def __init__(self, method: Method, imports: dict[str, str], settings: Settings) -> None:
        self._method, self._imports, self._settings = method, imports, settings
        self._branches: Branches = ()
        self._hidden: list[set[str]] = []
        # By the identity of an expression: what the one around it has said of it.
        self._tests: set[int] = set()
        self._operands: set[int] = set()
        self._arguments: dict[int, Call] = {}
        self._targets: dict[int, str | None] = {}

    def run(self) -> None:
        for statement in self._method.node.body:
            self.visit(statement)

    @contextlib.contextmanager
    def _branch(self, node: ast.AST, number: int) -> Iterator[None]:
        before, self._branches = self._branches, (*self._branches, (id(node), number))
        yield
        self._branches = before

    def _visit_all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def _note(self, name: str, node: ast.expr, value: ast.expr | None = None) -> None:
        if any(name.partition(".")[0] in names for names in self._hidden):
            return
        self._method.accesses.append(
            Access(
                name,
                node,
                self._branches,
                is_write=isinstance(getattr(node, "ctx", None), ast.Store | ast.Del),
                value=value,
                is_test=id(node) in self._tests,
                is_operand=id(node) in self._operands,
                call=self._arguments.get(id(node)),
                is_nested=bool(self._hidden),
            )
        )

    # Names and attributes.

    def visit_Name(self, node: ast.Name, value: ast.expr | None = None) -> None:
        self._note(node.id, node, value)

    def visit_Attribute(self, node: ast.Attribute, value: ast.expr | None = None) -> None:
        name = dotted(node)
        if name.startswith(f"{self._method.receiver}."):
            self._note(name, node, value)
        else:
            self.visit(node.value)

    def _store(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            is_parallel = isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts)
            values = value.elts if is_parallel else [None] * len(target.elts)  # type: ignore[union-attr]
            for item, single in zip(target.elts, values, strict=True):
                self._store(item, single)
        elif isinstance(target, ast.Name):
            self.visit_Name(target, value)
        elif isinstance(target, ast.Attribute):
            self.visit_Attribute(target, value)
        else:
            self.visit(target)

    # Statements, in the order in which their parts are evaluated.

    def visit_Assign(self, node: ast.Assign) -> None:
        only = node.targets[0]
        self._targets[id(node.value)] = only.id if isinstance(only, ast.Name) else None
        self.visit(node.value)
        for target in node.targets:
            self._store(target, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            target = node.target
            self._targets[id(node.value)] = target.id if isinstance(target, ast.Name) else None
            self.visit(node.value)
            self._store(target, node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._targets[id(node.value)] = node.target.id
        self.visit(node.value)
        self._store(node.target, node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        read = ast.copy_location(type(node.target)(**vars(node.target)), node.target)
        read.ctx = ast.Load()
        self._visit_all((read, node.value))
        self._store(node.target, None)

    def visit_Expr(self, node: ast.Expr) -> None:
        self._targets[id(node.value)] = ""
        self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        first = len(self._method.accesses)
        merged = self._read_if(node)
        self.visit(node.test)
        for number, body in enumerate((node.body, node.orelse)):
            with self._branch(node, number):
                self._visit_all(body)
        if merged:
            self._add_merge(node, "if", merged, merged[0].id, first)  # type: ignore[attr-defined]

    def visit_IfExp(self, node: ast.IfExp) -> None:
        first = len(self._method.accesses)
        tested = _tested_for_none(node.test)
        operands = (node.body, node.orelse)
        is_merge = tested in {dotted(operand) for operand in operands} and self._is_pair(operands)
        if is_merge:
            self._operands |= {id(operand) for operand in operands}
        self.visit(node.test)
        for number, operand in enumerate(operands):
            with self._branch(node, number):
                self.visit(operand)
        if is_merge:
            self._add_merge(node, "if", operands, self._targets.get(id(node)), first)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        first = len(self._method.accesses)
        is_merge = isinstance(node.op, ast.Or) and self._is_pair(node.values)
        if is_merge:
            self._operands |= {id(operand) for operand in node.values}
        for number, operand in enumerate(node.values):
            with self._branch(node, number) if number else contextlib.nullcontext():
                self.visit(operand)
        if is_merge:
            self._add_merge(node, "or", node.values, self._targets.get(id(node)), first)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        with self._branch(node, 0):
            self._store(node.target, None)
            self._visit_all(node.body)
        with self._branch(node, 1):
            self._visit_all(node.orelse)

    visit_AsyncFor = visit_For  # noqa: N815 - names of `ast`

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        for number, body in enumerate((node.body, node.orelse)):
            with self._branch(node, number):
                self._visit_all(body)

    def visit_Try(self, node: ast.Try) -> None:
        self._visit_all(node.body)
        for number, handler in enumerate(node.handlers):
            with self._branch(node, number):
                self.visit(handler)
        self._visit_all((*node.orelse, *node.finalbody))

    visit_TryStar = visit_Try  # noqa: N815

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        for number, case in enumerate(node.cases):
            with self._branch(node, number):
                self.visit(case)

    def visit_withitem(self, node: ast.withitem) -> None:
        self.visit(node.context_expr)
        if node.optional_vars is not None:
            self._store(node.optional_vars, None)

    def visit_Compare(self, node: ast.Compare) -> None:
        if _tested_for_none(node):
            self._tests.add(id(node.left))
        self._visit_all((node.left, *node.comparators))

    # Functions inside: what they read is read at any time.

    def visit_FunctionDef(self, node: Function | ast.Lambda) -> None:
        arguments = node.args
        every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        every += tuple(arg for arg in (arguments.vararg, arguments.kwarg) if arg)
        self._visit_all((*arguments.defaults, *arguments.kw_defaults))
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        if not isinstance(node, ast.Lambda):
            self._visit_all(node.decorator_list)
        inner = [inside for statement in body for inside in ast.walk(statement)]
        outer = {
            name
            for inside in inner
            if isinstance(inside, ast.Nonlocal | ast.Global)
            for name in inside.names
        }
        stored = {
            inside.id
            for inside in inner
            if isinstance(inside, ast.Name) and isinstance(inside.ctx, ast.Store)
        }
        self._hidden.append({arg.arg for arg in every} | stored - outer)
        with self._branch(node, 0):
            self._visit_all(body)
        self._hidden.pop()

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._visit_all((*node.decorator_list, *node.bases))
        self._hidden.append({self._method.receiver})
        self._visit_all(node.body)
        self._hidden.pop()

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> None:
        self._comprehension(node, node.generators, [node.elt])

    visit_SetComp = visit_GeneratorExp = visit_ListComp  # noqa: N815

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node, node.generators, [node.key, node.value])

    def _comprehension(
        self, node: ast.expr, generators: list[ast.comprehension], results: list[ast.expr]
    ) -> None:
        names = {
            inside.id
            for generator in generators
            for inside in ast.walk(generator.target)
            if isinstance(inside, ast.Name)
        }
        self.visit(generators[0].iter)
        self._hidden.append(names)
        with self._branch(node, 0):
            for number, generator in enumerate(generators):
                self._visit_all((generator.iter, *generator.ifs) if number else generator.ifs)
            self._visit_all(results)
        self._hidden.pop()

    # Calls and merges.

    def visit_Call(self, node: ast.Call) -> None:
        first = len(self._method.accesses)
        callee = resolve(node.func, self._imports)
        if (
            not callee
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Call)
        ):
            if dotted(node.func.value.func) == "super":
                callee = f"super.{node.func.attr}"
        call = Call(callee, node, self._branches)
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        for argument in given:
            is_negated = isinstance(argument, ast.UnaryOp) and isinstance(argument.op, ast.Not)
            inner = argument.operand if is_negated else argument  # type: ignore[attr-defined]
            self._arguments[id(inner)] = call
        spelling = self._spelling(node, callee)
        operands = node.args[spelling == "merge_param" :] if spelling else []
        if spelling == "merge_param":
            operands += [given.value for given in node.keywords if given.arg != "unset"]
        self._operands |= {id(operand) for operand in operands}
        if callee == "getattr" and len(node.args) > 1 and (name := _text(node.args[1])):
            self._note(f"{dotted(node.args[0])}.{name}", node)
        elif callee != "super":
            self._visit_all((node.func, *given))
        self._method.calls.append(call)
        if spelling:
            self._add_merge(node, spelling, operands, self._targets.get(id(node)), first)

    def _spelling(self, node: ast.Call, callee: str) -> str:
        """Return how a call merges, by the name of its function; nothing for any other call."""
        package, _, name = callee.rpartition(".")
        if name not in self._settings.merge_functions or not package:
            return ""
        # The name of the parameter comes first in a strict merge, for its errors.
        if _text(node.args[0] if node.args else None) and len(node.args) <= 3:  # noqa: PLR2004
            return "merge_param"
        return "" if name == "merge_param" else "first_from"

    def _add_merge(
        self,
        node: ast.expr | ast.stmt,
        spelling: str,
        operands: Iterable[ast.expr],
        target: str | None,
        first: int,
    ) -> None:
        operands = tuple(operands)
        receiver, params = self._method.receiver, self._method.params
        names = [dotted(operand) for operand in operands]
        attributes = [name for name in names if name.startswith(f"{receiver}.")]
        own = [name for name in names if name in params]
        label = _text(node.args[0]) if isinstance(node, ast.Call) and node.args else ""
        self._method.merges.append(
            Merge(
                node,
                spelling,
                operands,
                own[0] if own else None,
                attributes[0] if attributes else None,
                target or None,
                label or None,
                self._branches,
                target == "",
                first,
                len(self._method.accesses) + bool(target and not isinstance(node, ast.If)),
            )
        )

    def _is_pair(self, operands: Iterable[ast.expr]) -> bool:
        """Whether they are one parameter and one attribute of the object."""
        names = sorted((dotted(operand) for operand in operands), key=lambda name: "." in name)
        is_pair = len(names) == 2 and names[0] in self._method.params  # noqa: PLR2004
        return is_pair and names[1].startswith(f"{self._method.receiver}.")

    def _read_if(self, node: ast.If) -> tuple[ast.expr, ast.expr] | None:
        """Return the operands of `if flag is None: flag = self.flag`."""
        if len(node.body) != 1 or node.orelse or not isinstance(node.body[0], ast.Assign):
            return None
        statement = node.body[0]
        target, value = statement.targets[0], statement.value
        tested = _tested_for_none(node.test)
        if not tested or tested not in {dotted(target), dotted(value)}:
            return None
        if not isinstance(target, ast.Name) or not self._is_pair((target, value)):
            return None
        self._operands.add(id(value))
        return target, value


def _tested_for_none(node: ast.expr) -> str:
    """Return what `x is None`, `x is not None` or the same with `==` test."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and is_none(node.comparators[0]):
        return dotted(node.left)
    return ""
