"""The rules: what each looks for. Their texts are in `rules.toml`."""

from __future__ import annotations

import ast
import difflib
import functools
import importlib.resources
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mergeparam._static.model import (
    STORES,
    Access,
    Call,
    Class,
    Default,
    Merge,
    Method,
    Module,
    Variable,
    dotted,
    is_none,
    resolve,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mergeparam._static.check import Settings


@dataclass(frozen=True, slots=True)
class Rule:
    """The texts of a rule, which `--explain` prints and the documentation shows."""

    code: str
    title: str
    why: str
    wrong: str
    right: str
    is_default: bool = True

    def __str__(self) -> str:
        """Return all of it as Markdown, which reads as plain text too."""
        note = (
            "" if self.is_default else f"\nOff by default: `--select {self.code}` turns it on.\n"
        )
        return (
            f"# {self.code}: {self.title}\n\n{self.why.strip()}\n{note}\n"
            f"Wrong:\n\n```python\n{self.wrong.strip()}\n```\n\n"
            f"Right:\n\n```python\n{self.right.strip()}\n```\n"
        )


@functools.cache
def load_rules() -> dict[str, Rule]:
    """Return all rules by their codes, in order."""
    text = importlib.resources.files(__package__).joinpath("rules.toml").read_text("utf-8")
    return {code: Rule(code, **texts) for code, texts in tomllib.loads(text).items()}


class Hit(NamedTuple):
    """A mistake, and the node that it is reported at."""

    code: str
    node: ast.AST
    message: str


@dataclass(frozen=True, slots=True)
class Context:
    """A class with what is known around it."""

    module: Module
    cls: Class
    settings: Settings

    def is_flag(self, variable: Variable | None) -> bool:
        """Whether it switches a mode, by its name or as it may be a bool or None."""
        return variable is not None and (
            variable.name in self.settings.flags or "bool" in variable.annotation
        )

    def counts(self, merge: Merge) -> bool:
        """Whether a merge is strict, or one of a mode flag by its name; rules speak of no others."""
        return merge.is_strict or (merge.spelling != "or" and merge.param in self.settings.flags)

    def own_method(self, call: Call, method: Method) -> tuple[bool, Method | None]:
        """Return whether it calls a method of the object or its base, and which if it is here."""
        receiver, _, name = call.callee.rpartition(".")
        if receiver not in {method.receiver, "super"}:
            return False, None
        family = self.module.family(self.cls)
        for cls in reversed(family if receiver != "super" else family[: family.index(self.cls)]):
            if name in cls.methods:
                return True, cls.methods[name]
        is_field = any(name in cls.fields for cls in family) or any(
            next(other.writes(f"{other.receiver}.{name}"), None)
            for cls in family
            for other in cls.methods.values()
        )
        return not is_field, None


_EVERYTHING = frozenset({"locals", "vars", "eval", "exec"})
"""Functions that may read any local name."""


def check_class(context: Context) -> Iterator[Hit]:
    """Yield what is wrong in a class."""
    for method in context.cls.methods.values():
        merges = [merge for merge in method.merges if context.counts(merge)]
        for merge in merges:
            raw_reads = [*_raw_reads(context, method, merge)]
            yield from raw_reads
            # Where the raw value is read instead, that is the mistake.
            if not raw_reads:
                yield from _results(method, merge)
            yield from _operands(context, method, merge)
            yield from _always_set(context, method, merge)
            yield from _children(method, merge)
        yield from _merged_elsewhere(context, method)
        yield from _given_twice(context, method)
        yield from _opt_in(context, method)
    yield from _never_merged(context)
    yield from _declared(context)


def _comes_after(access: Access, merge: Merge) -> bool:
    """Whether an access that follows a merge stands where the merge has surely run."""
    return access.branches[: len(merge.branches)] == merge.branches


def _excludes(one: Access, other: Merge) -> bool:
    """Whether the two stand in different branches of one statement."""
    return any(
        node == other_node and number != other_number
        for node, number in one.branches
        for other_node, other_number in other.branches
    )


def _leaf(name: str) -> str:
    return name.rpartition(".")[2].strip("_")


def argument_for(call: Call, method: Method, name: str) -> ast.expr | None:
    """Return what a call gives to a parameter of a method."""
    if (given := call.argument(name)) is not None:
        return given
    at = list(method.params).index(name) if name in method.params else len(call.node.args)
    return call.node.args[at] if at < len(call.node.args) else None


def _raw_reads(context: Context, method: Method, merge: Merge) -> Iterator[Hit]:
    """MP101 to MP103 and MP110: what is read beside the merged value."""
    param, attribute, target = merge.param, merge.attribute, merge.target
    if param is None or attribute is None or target is None:
        return
    after = [access for access in method.accesses[merge.last :] if _comes_after(access, merge)]
    written = {access.name for access in method.accesses if access.is_write}
    reads = [*method.reads(attribute), *method.reads(param)]
    # A value that is only made from the raw one and takes its name is no use of it.
    prepared = {
        id(node)
        for access in method.writes(param)
        if access.value is not None
        for node in ast.walk(access.value)
    }
    for access in reads:
        is_attribute = access.name != param
        follows = access in after
        if is_attribute and follows and attribute not in written:
            code = "MP101"
            message = (
                f"{method.qualname}() merges {param!r} and then reads {attribute}, which is unset "
                f"whenever the call gave the value. Read the merged {target!r}."
            )
        elif not is_attribute and follows and target != param:
            before = method.accesses[merge.last : method.accesses.index(access)]
            if any(write.is_write and write.name == param for write in before):
                continue
            if next(_misspelled(method, merge), None):
                continue
            code = "MP102"
            message = (
                f"{method.qualname}() merges {param!r} to {target!r} and then reads the raw "
                f"argument, which is unset whenever the constructor gave the value. Read {target!r}."
            )
        elif access in method.accesses[: min(other.first for other in method.merges_of(param))]:
            if access.is_nested or _excludes(access, merge) or id(access.node) in prepared:
                continue
            code = "MP103"
            message = (
                f"{method.qualname}() reads the raw {access.name} before line "
                f"{merge.node.lineno} merges it: it may be unset here. Merge first."
            )
        else:
            continue
        if access.call is not None:
            # The child whose attribute is merged merges for itself.
            if access.call.callee == attribute.rpartition(".")[0] and not is_attribute:
                continue
            is_own, called = context.own_method(access.call, method)
            merges = called is None or any(context.counts(other) for other in called.merges)
            if is_own and merges and not is_attribute:
                continue
            if is_own and called and not merges:
                code = "MP114"
                message = (
                    f"{method.qualname}() merges {param!r} and hands the raw {access.name} on to "
                    f"{called.qualname}(), which does not merge it. Hand on the merged value."
                )
        yield Hit(code, access.node, message)
    if merge.is_strict and not (isinstance(merge.node, ast.Call) and merge.node.keywords):
        for access in after:
            if access.is_write and access.name == target:
                break
            if access.is_test and access.name == target:
                yield Hit(
                    "MP110",
                    access.node,
                    f"{target!r} is compared with None after a strict merge, which never returns "
                    f"None: where neither is set it has raised.",
                )


def _is_used(method: Method, merge: Merge) -> bool:
    return any(
        access.name.partition(".")[0] == merge.target and not access.is_write
        for number, access in enumerate(method.accesses)
        if number >= merge.last or access.is_nested
    ) or any(call.callee in _EVERYTHING for call in method.calls)


def _misspelled(method: Method, merge: Merge) -> Iterator[Hit]:
    """MP105: a result under a name that was meant to be the parameter's."""
    param, target = merge.param, merge.target
    if not target or not param or target == param or _is_used(method, merge):
        return
    if difflib.SequenceMatcher(None, param, target).ratio() > 0.75:  # noqa: PLR2004
        yield Hit(
            "MP105",
            merge.node,
            f"the merged value is stored as {target!r}, which is never read. Was {param!r} meant?",
        )


def _results(method: Method, merge: Merge) -> Iterator[Hit]:
    """MP104 and MP105: what becomes of the result."""
    if misspelled := [*_misspelled(method, merge)]:
        yield from misspelled
    elif merge.is_dropped or (merge.target and not _is_used(method, merge)):
        name = merge.param or merge.label or merge.attribute
        yield Hit("MP104", merge.node, f"{name!r} is merged, and the result is never used.")


def _operands(context: Context, method: Method, merge: Merge) -> Iterator[Hit]:
    """MP106 and MP107: what is merged with what, under which name."""
    names = [name for operand in merge.operands if (name := dotted(operand))]
    if len({*names}) < len(names):
        yield Hit("MP106", merge.node, f"{names[0]} is merged with itself.")
        return
    param, attribute, label = merge.param, merge.attribute, merge.label
    if param and attribute and _leaf(attribute) != param.strip("_"):
        family = context.module.family(context.cls)
        fields = {name.strip("_") for cls in family for name in cls.fields}
        if param.strip("_") in fields or _leaf(attribute) in method.params:
            yield Hit(
                "MP106",
                merge.node,
                f"the argument {param!r} is merged with {attribute}, which belongs to another "
                f"parameter.",
            )
            return
    known = [name.strip("_") for name in (param, _leaf(attribute or "")) if name]
    if label and known and not any(name in label or label in name for name in known):
        yield Hit(
            "MP107",
            merge.node,
            f"the merge of {' and '.join(dict.fromkeys(known))} is named {label!r}, so that its "
            f"errors speak of another parameter.",
        )


def _never_none(node: ast.expr | None) -> bool:
    """Whether an expression has a value other than None for certain."""
    if isinstance(node, ast.Constant):
        return node.value is not None
    if isinstance(node, ast.IfExp):
        return _never_none(node.body) and _never_none(node.orelse)
    if isinstance(node, ast.BoolOp):
        return all(map(_never_none, node.values))
    if isinstance(node, ast.Call):
        name = dotted(node.func).rpartition(".")[2]
        has_default = len(node.args) == 2 and _never_none(node.args[1])  # noqa: PLR2004
        return name in {"bool", "int", "float", "str", "len"} or (
            name in {"pop", "get"} and has_default
        )
    displays = ast.UnaryOp | ast.Compare | ast.BinOp | ast.JoinedStr | ast.List | ast.Tuple
    return isinstance(node, displays | ast.Dict | ast.Set)


def _always_set(context: Context, method: Method, merge: Merge) -> Iterator[Hit]:
    """MP108 and MP109: an operand that always has a value, so that the other never counts."""
    # The last operand of a lenient merge is its default.
    for operand in merge.operands if merge.is_strict else merge.operands[:1]:
        name = dotted(operand)
        if name.startswith(f"{method.receiver}."):
            continue
        written = [*method.writes(name, 0, merge.first)] if name else []
        if not name and _never_none(operand):
            found: ast.AST = operand
        elif written:
            # What is written in a branch may not have been written.
            last = written[-1]
            is_certain = merge.branches[: len(last.branches)] == last.branches
            if not is_certain or last.is_nested or not _never_none(last.value):
                continue
            found = last.node
        elif name in method.params and method.params[name].default is Default.SET:
            found = method.params[name].node
        else:
            continue
        other = merge.attribute or "the constructor's value"
        effect = "then both are set, which raises" if merge.is_strict else "it is never looked at"
        yield Hit(
            "MP108",
            found,
            f"the argument {name or ast.unparse(operand)!r} always has a value where it is merged, "
            f"so that {other} can never be used: {effect}. Let None mean 'not given'.",
        )
    family = context.module.family(context.cls)
    fields = {name: field for cls in family for name, field in cls.fields.items()}
    field = fields.get((merge.attribute or "").removeprefix(f"{method.receiver}."))
    is_tested = any(
        access.is_test and access.name in {merge.param, merge.attribute}
        for access in method.accesses
    )
    if merge.is_strict and field and field.default is Default.SET and not is_tested:
        yield Hit(
            "MP109",
            field.node,
            f"{field.name!r} has a default that counts as set, so that a call can never give it: "
            f"then both are set, which raises. Let None be the default.",
        )


_LENIENT = ("flax.nnx", "equinox", "haiku", "keras", "torch", "tensorflow")
"""Where the call overrules the constructor, or where these names mean something else."""


def _given_twice(context: Context, method: Method) -> Iterator[Hit]:
    """MP111: a flag for a child's constructor and for its call."""
    module, made = context.module, dict[str, list[tuple[Method, ast.expr | None]]]()
    stores = [other for other in context.cls.methods.values() if other.name in STORES]
    for maker in {id(maker): maker for maker in (method, *stores)}.values():
        for access in maker.accesses:
            if access.is_write and (maker is method or "." in access.name):
                made.setdefault(access.name, []).append((maker, access.value))
    for call in method.calls:
        # A child that is made and called at once, and one that has been made before, as it is or
        # with a partial. A name that is bound more than once may hold any of them.
        function = call.node.func
        is_made_here = isinstance(function, ast.Call)
        values = made.get(dotted(function.func if is_made_here else function), [])  # type: ignore[attr-defined]
        children = [(method, function)] if is_made_here else []
        children += values if len(values) == 1 else []
        for maker, child in children:
            if not isinstance(child, ast.Call):
                continue
            callee = resolve(child.func, module.imports)
            if is_partial := callee.rpartition(".")[2] == "partial":
                callee = resolve(child.args[0] if child.args else None, module.imports)
            if is_partial != is_made_here and child is not function:
                continue
            for flag in context.settings.flags:
                first = next((k.value for k in child.keywords if k.arg == flag), None)
                if first is None or is_none(first) or not _merges_strictly(module, callee, flag):
                    continue
                texts = {ast.unparse(first)} if maker is method else set()
                second = call.argument(flag) or next(
                    (arg for arg in call.node.args if ast.unparse(arg) in texts and dotted(arg)),
                    None,
                )
                if second is None or is_none(second):
                    continue
                param = method.params.get(dotted(second))
                may_be_none = param is not None and param.default is Default.NONE
                is_certain = _never_none(first) and (
                    not may_be_none or method.merges_of(dotted(second))
                )
                if is_certain or ast.unparse(second) in texts:
                    yield Hit(
                        "MP111",
                        second,
                        f"{flag!r} is given to the constructor of {callee.rpartition('.')[2]} and "
                        f"to its call: a child that merges strictly raises. Give it once.",
                    )


def _merges_strictly(module: Module, callee: str, flag: str) -> bool:
    """Whether a child may do so: one of this module does, and one from elsewhere is not lenient."""
    child = module.named(callee.rpartition(".")[2])
    if child is None:
        return not callee.startswith(_LENIENT)
    return any(
        merge.is_strict and merge.param == flag
        for method in child.methods.values()
        for merge in method.merges
    )


def _never_merged(context: Context) -> Iterator[Hit]:
    """MP112: a field and a parameter of one name, of which only one is read."""
    cls = context.cls
    family = context.module.family(cls)
    known = {member.qualname.rpartition(".")[2] for member in family} | _ROOTS
    everything = [method for member in family for method in member.methods.values()]
    names = {
        access.name
        for method in everything
        for access in method.accesses
        if access.name == method.receiver
    }
    if names or not {*cls.bases} <= known:
        return
    for name, field in cls.fields.items():
        is_constructors = field.annotation or isinstance(field.node, ast.arg)
        if field.default is not Default.NONE or not is_constructors:
            continue
        if any(declared.attribute == name for declared in cls.declared):
            continue
        readers = [
            method
            for method in everything
            if method.name not in {"__init__", "__repr__", "extra_repr"}
            for access in method.accesses
            if access.name.split(".")[:2] == [method.receiver, name]
            and not access.is_write
            and not access.is_test
        ]
        for method in cls.methods.values():
            param = method.params.get(name)
            if param is None or param.default is not Default.NONE or method.name in STORES:
                continue
            if not (context.is_flag(field) or context.is_flag(param)) or method.is_abstract:
                continue
            attribute = f"{method.receiver}.{name}"
            uses = [
                access for access in method.accesses if access.name == name and not access.is_write
            ]
            reads = [access for access in uses if not access.is_test]
            is_merged = any(
                name in {merge.param, merge.label, _leaf(merge.attribute or "")}
                for merge in method.merges
            )
            is_mutator = next(method.writes(attribute), None) is not None
            if is_merged or is_mutator or any(call.callee in _EVERYTHING for call in method.calls):
                continue
            handed_on = any(
                access.call is not None and context.own_method(access.call, method) == (True, None)
                for access in reads
            )
            if reads and not readers and not handed_on:
                yield Hit(
                    "MP112",
                    field.node,
                    f"{method.qualname}() reads its argument {name!r} and nothing reads the field "
                    f"of that name, so that what the constructor gets is lost. Merge the two.",
                )
                break
            if readers and not uses:
                yield Hit(
                    "MP112",
                    param.node,
                    f"{method.qualname}() never reads its argument {name!r}, only {attribute} is "
                    f"read, so that what the call gives is lost. Merge the two.",
                )


_ROOTS = {"Module", "object", "ABC", "Generic", "Protocol", "Layer"}


def _children(method: Method, merge: Merge) -> Iterator[Hit]:
    """MP113: a value that is merged from a child, and that the child is called without."""
    child, _, leaf = (merge.attribute or "").rpartition(".")
    if "." not in child or not merge.target:
        return
    for call in method.calls:
        if call.callee != child or method.node.name == child:
            continue
        given = [*call.node.args, *(keyword.value for keyword in call.node.keywords)]
        names = {dotted(inside) for value in given for inside in ast.walk(value)}
        if not names & {merge.target, merge.param} and all(k.arg for k in call.node.keywords):
            yield Hit(
                "MP113",
                call.node,
                f"{leaf!r} is merged with {merge.attribute}, and {child} is then called without "
                f"it: it raises or uses another value whenever the call gave one.",
            )


def _merged_elsewhere(context: Context, method: Method) -> Iterator[Hit]:
    """MP114 and MP115: a value for another method of the object that merges it too."""
    for call in method.calls:
        is_own, called = context.own_method(call, method)
        if not is_own or called is None or called is method:
            continue
        for other in called.merges if not called.is_abstract else ():
            given = argument_for(call, called, other.param or "")
            name = dotted(given)
            merges = [merge for merge in method.merges if merge.target == name]
            if not context.counts(other) or not name:
                continue
            for merge in merges:
                nodes = [access.node for access in method.accesses[merge.last :]]
                is_same = _leaf(other.attribute or "") == _leaf(merge.attribute or "")
                if other.is_strict and is_same and given in nodes:
                    yield Hit(
                        "MP115",
                        call.node,
                        f"{method.qualname}() hands the merged {name!r} on to {called.qualname}(), which "
                        f"merges it with {other.attribute} again and raises whenever the "
                        f"constructor gave the value.",
                    )
            param = method.params.get(name)
            if method.merges_of(name) or param is None or param.default is not Default.NONE:
                continue
            if next(method.writes(name), None):
                continue
            for access in method.reads(name):
                if access.call is None or not context.own_method(access.call, method)[0]:
                    yield Hit(
                        "MP114",
                        access.node,
                        f"{method.qualname}() uses the raw argument {name!r} here, while "
                        f"{called.qualname}() merges it with {other.attribute}: this one is unset "
                        f"whenever the constructor gave the value. Merge it in {method.qualname}().",
                    )


def _declared(context: Context) -> Iterator[Hit]:
    """MP201 to MP204: classes with `@mergeable`."""
    cls = context.cls
    for declared in cls.declared:
        name, method = declared.name, cls.methods[declared.method]
        field = cls.fields.get(declared.attribute)
        value = "" if field is None or field.value is None else ast.unparse(field.value)
        is_known = field is not None and field.default in {Default.SET, Default.NONE}
        if field and declared.is_strict and is_known and value != declared.unset:
            if not (field.default is Default.NONE and declared.unset == "None"):
                yield Hit(
                    "MP201",
                    field.node,
                    f"{declared.attribute!r} has the default {value}, which counts as set in every "
                    f"object, so that a call can never give {name!r}.",
                )
        by_hand = method.merges_of(name)
        for merge in by_hand:
            yield Hit(
                "MP203",
                merge.node,
                f"@mergeable merges {name!r} already; this merges it once more. Delete the line.",
            )
        # The methods that run as part of the merged one.
        running, attribute = [method], declared.attribute
        for part in running:
            for call in part.calls:
                _, called = context.own_method(call, part)
                if called is not None and called not in running:
                    running.append(called)
        for part in running:
            if part.merges_of(name):
                continue
            for access in part.reads(f"{part.receiver}.{attribute}"):
                yield Hit(
                    "MP204",
                    access.node,
                    f"{part.receiver}.{attribute} is unset whenever the call gave {name!r}. Read "
                    f"the merged {name!r}"
                    + ("." if part is method else f", which {method.qualname}() has to hand on."),
                )
    for base in map(context.module.named, cls.bases):
        for declared in base.declared if base else ():
            override = cls.methods.get(declared.method)
            if override is None or any(own.name == declared.name for own in cls.declared):
                continue
            handed = any(call.callee == f"super.{override.name}" for call in override.calls)
            if handed or override.is_abstract or override.merges_of(declared.name):
                continue
            yield Hit(
                "MP202",
                override.node,
                f"{cls.qualname}.{override.name}() overrides a method that merges "
                f"{declared.name!r}, and neither merges it nor calls super(). Put "
                f'@mergeable("{declared.name}") on {cls.qualname}.',
            )


def _opt_in(context: Context, method: Method) -> Iterator[Hit]:
    """MP901 to MP903: what is often meant."""
    for merge in method.merges:
        param = method.params.get(merge.param or "")
        if merge.spelling == "or" and context.is_flag(param):
            yield Hit(
                "MP901",
                merge.node,
                f"`or` takes False for 'not given', so that {merge.param}=False cannot overrule "
                f"{merge.attribute}.",
            )
        elif merge.is_strict and param and param.default is Default.REQUIRED:
            yield Hit(
                "MP902",
                param.node,
                f"{param.name!r} is merged and has no default: every call has to give None where "
                f"the constructor has set it.",
            )
        elif merge.spelling in {"first_from", "if"} and context.is_flag(param):
            yield Hit(
                "MP903",
                merge.node,
                f"where the constructor and the call both set {merge.param!r}, one silently "
                f"overrules the other.",
            )
