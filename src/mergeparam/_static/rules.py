"""The rules: where each finds a mistake. Their texts and messages are in `rules.toml`."""

from __future__ import annotations

import ast
import difflib
import functools
import importlib.resources
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mergeparam._static.model import MAKING, Default, dotted, is_none, last_name, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mergeparam._static.model import Call, Class, Merge, Method, Module, Variable

ROOTS = frozenset({"Module", "object", "ABC", "Generic", "Protocol", "Layer"})
"""Bases from elsewhere that read none of the fields of their subclasses."""
LENIENT = ("flax.nnx", "equinox", "haiku", "keras", "torch", "tensorflow")
"""Where the call overrules the constructor, or where the names of flags mean something else."""
READS_ALL = frozenset({"locals", "vars", "eval", "exec"})
"""Functions that may read any local name."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The texts of a rule, which `--explain` prints and the documentation shows."""

    code: str
    title: str
    message: str
    why: str
    wrong: str
    right: str
    is_default: bool = True

    def __str__(self) -> str:
        """Return all of it as Markdown, which reads as plain text too."""
        note = f"\nThis rule is off by default; `--select {self.code}` turns it on.\n"
        return (
            f"# {self.code}: {self.title}\n\n{self.why.strip()}\n"
            f"{'' if self.is_default else note}\n"
            f"Wrong:\n\n```py\n{self.wrong.strip()}\n```\n\n"
            f"Right:\n\n```py\n{self.right.strip()}\n```\n"
        )


@functools.cache
def load_rules() -> dict[str, Rule]:
    """Return all rules by their codes, in order."""
    text = importlib.resources.files(__package__).joinpath("rules.toml").read_text("utf-8")
    return {code: Rule(code, **texts) for code, texts in tomllib.loads(text).items()}


class Hit(NamedTuple):
    """A mistake: the rule, the node that it is reported at, and what its message tells."""

    code: str
    node: ast.AST
    facts: dict[str, object]


def hit(code: str, node: ast.AST, **facts: object) -> Hit:
    """Make a hit; the facts are those that the message of the rule has places for."""
    return Hit(code, node, facts)


@dataclass(frozen=True, slots=True)
class Context:
    """A class with what is known around it."""

    module: Module
    cls: Class
    flags: frozenset[str]

    def counts(self, merge: Merge) -> bool:
        """Whether a merge is strict, or one of a mode flag; rules speak of no others."""
        return merge.is_strict or (merge.spelling != "or" and merge.param in self.flags)

    def is_flag(self, variable: Variable | None) -> bool:
        """Whether it switches a mode, by its name or because it may be a bool or None."""
        is_named = variable is not None and variable.name in self.flags
        return is_named or (variable is not None and "bool" in variable.annotation)

    def own_method(self, call: Call | None, method: Method) -> tuple[bool, Method | None]:
        """Return whether it calls a method of the object or its base, and which if it is here."""
        receiver, _, name = call.callee.rpartition(".") if call else ("", "", "")
        if receiver not in {method.receiver, "super"}:
            return False, None
        # Python looks in the class and its bases; a subclass may define it all the same.
        family = self.module.family(self.cls)
        at = family.index(self.cls)
        bases, subclasses = family[:at], family[at + 1 :]
        searched = reversed(bases) if receiver == "super" else [self.cls, *reversed(bases)]
        for cls in [*searched, *(subclasses if receiver != "super" else ())]:
            if name in cls.methods:
                return True, cls.methods[name]
        stored = f"{method.receiver}.{name}"
        is_stored = any(
            name in cls.fields or any(other.writes(stored) for other in cls.methods.values())
            for cls in family
        )
        return not is_stored, None


def check_class(context: Context) -> Iterator[Hit]:
    """Yield what is wrong in a class."""
    for method in context.cls.methods.values():
        for merge in filter(context.counts, method.merges):
            raw_reads = [*_raw_reads(context, method, merge)]
            yield from raw_reads
            # Where the raw value is read instead of the merged one, that is the mistake.
            yield from () if raw_reads else _results(method, merge)
            yield from _dead_tests(method, merge)
            yield from _operands(context, method, merge)
            yield from _always_set(context, method, merge)
            yield from _children(method, merge)
        yield from _given_twice(context, method)
        yield from _merged_elsewhere(context, method)
        yield from _often_meant(context, method)
    yield from _never_merged(context)
    yield from _declared(context)
    yield from _overrides(context)


def _leaf(name: str | None) -> str:
    return last_name(name or "").strip("_")


def _is_used(method: Method, merge: Merge) -> bool:
    """Whether anything reads the result; a function inside may run after it."""
    reads = (
        access.is_nested or number >= merge.last
        for number, access in enumerate(method.accesses)
        if access.name.partition(".")[0] == merge.target and not access.is_write
    )
    return any(reads) or any(call.callee in READS_ALL for call in method.calls)


def _is_misspelled(method: Method, merge: Merge) -> bool:
    param, target = merge.param or "", merge.target or ""
    is_near = difflib.SequenceMatcher(None, param, target).ratio() > 0.75  # noqa: PLR2004
    return is_near and param != target and not _is_used(method, merge)


def _raw_reads(context: Context, method: Method, merge: Merge) -> Iterator[Hit]:
    """MP101 to MP103 and MP114: what is read beside the merged value."""
    param, attribute, target = merge.param, merge.attribute, merge.target
    if param is None or attribute is None or not target:
        return
    depth = len(merge.branches)
    after = [it for it in method.accesses[merge.last :] if it.branches[:depth] == merge.branches]
    before = method.accesses[: min(other.first for other in method.merges_of(param))]
    facts = {"method": method.label, "param": param, "target": target, "attribute": attribute}
    # A raw value that is only made ready, under its own name, is no use of it.
    prepared = {
        id(node)
        for write in method.writes(param)
        for node in (ast.walk(write.value) if write.value else ())
    }
    is_early = False
    for access in [*method.reads(param), *method.reads(attribute)]:
        is_attribute = access.name != param
        if is_attribute and access in after and not method.writes(attribute):
            code = "MP101"
        elif not is_attribute and access in after and target != param:
            code = "MP102"
            written = [write for write in after if write.is_write and write.name == param]
            is_other = written and after.index(written[0]) < after.index(access)
            if is_other or _is_misspelled(method, merge):
                continue
        elif access in before and not access.is_nested and id(access.node) not in prepared:
            code = "MP103"
            # Moving the merge up makes all of them right, so one is enough.
            if is_early or any(
                node == other and branch != other_branch
                for node, branch in access.branches
                for other, other_branch in merge.branches
            ):
                continue
        else:
            continue
        is_own, called = context.own_method(access.call, method)
        merges = called is None or any(map(context.counts, called.merges))
        # A method that merges takes the raw argument, and so does the child whose attribute it is.
        is_childs = access.call and access.call.callee == attribute.rpartition(".")[0]
        if not is_attribute and ((is_own and merges) or is_childs):
            continue
        if is_own and called and not merges:
            yield hit("MP114", access.node, **facts, name=access.name, called=called.label)
        else:
            line, is_early = merge.node.lineno, is_early or code == "MP103"
            yield hit(code, access.node, **facts, name=access.name, line=line)


def _dead_tests(method: Method, merge: Merge) -> Iterator[Hit]:
    """MP110: a test for None of what a strict merge has returned."""
    # With another object for "not set", None may be a value.
    keywords = merge.node.keywords if isinstance(merge.node, ast.Call) else []
    is_plain = merge.is_strict and all(keyword.arg != "unset" for keyword in keywords)
    for access in method.accesses[merge.last :] if is_plain else ():
        if access.is_write and access.name == merge.target:
            return
        is_behind = access.branches[: len(merge.branches)] == merge.branches
        if access.is_test and access.name == merge.target and is_behind:
            yield hit("MP110", access.node, method=method.label, target=merge.target)


def _results(method: Method, merge: Merge) -> Iterator[Hit]:
    """MP104 and MP105: a result that is never used."""
    facts = {"method": method.label, "param": merge.param or merge.label, "target": merge.target}
    if merge.target and _is_misspelled(method, merge):
        yield hit("MP105", merge.node, **facts)
    elif merge.target == "" or (merge.target and not _is_used(method, merge)):
        yield hit("MP104", merge.node, **facts)


def _operands(context: Context, method: Method, merge: Merge) -> Iterator[Hit]:
    """MP106 and MP107: what is merged with what, and under which name."""
    param, attribute = (merge.param or "").strip("_"), _leaf(merge.attribute)
    names = [name for operand in merge.operands if (name := dotted(operand))]
    family = context.module.family(context.cls)
    fields = {name.strip("_") for cls in family for name in cls.fields}
    is_other = param and attribute and param != attribute
    if len({*names}) < len(names) or (
        is_other and (param in fields or attribute in method.params)
    ):
        operands = " and ".join(names)
        yield hit("MP106", merge.node, method=method.label, operands=operands)
        return
    known = [name for name in (param, attribute) if name]
    if merge.label and known and not any(it in merge.label or merge.label in it for it in known):
        facts = {"method": method.label, "name": known[0], "label": merge.label}
        yield hit("MP107", merge.node, **facts)


def _never_none(node: ast.expr | None) -> bool:
    """Whether an expression has a value other than None for certain."""
    if isinstance(node, ast.Constant):
        return node.value is not None
    if isinstance(node, ast.IfExp):
        return _never_none(node.body) and _never_none(node.orelse)
    if isinstance(node, ast.BoolOp):
        last = node.values[-1:]
        return all(map(_never_none, last if isinstance(node.op, ast.Or) else node.values))
    if isinstance(node, ast.Call):
        name = last_name(dotted(node.func))
        has_default = name in {"pop", "get"} and len(node.args) == 2  # noqa: PLR2004
        is_type = name in {"bool", "int", "float", "str", "len"}
        return is_type or (has_default and _never_none(node.args[1]))
    return isinstance(node, ast.UnaryOp | ast.Compare | ast.BinOp)


def _always_set(context: Context, method: Method, merge: Merge) -> Iterator[Hit]:
    """MP108 and MP109: an operand that always has a value, so that the other never counts."""
    # The last one of `first_from` is its default.
    for operand in merge.operands[: -1 if merge.spelling == "first_from" else None]:
        name, found = dotted(operand), None
        if name.startswith(f"{method.receiver}."):
            continue
        if not name:
            found = operand if _never_none(operand) else None
        elif writes := method.writes(name, merge.first):
            # What is written in a branch may not have been written.
            last = writes[-1]
            is_certain = merge.branches[: len(last.branches)] == last.branches
            found = last.node if is_certain and _never_none(last.value) else None
        elif name in method.params and method.params[name].default is Default.SET:
            found = method.params[name].node  # type: ignore[assignment]
        if found is not None:
            effect = "both are set, which raises" if merge.is_strict else "the call overrules it"
            facts = {"method": method.label, "operand": ast.unparse(operand), "effect": effect}
            yield hit(
                "MP108", found, **facts, attribute=merge.attribute or "the constructor's value"
            )
    family = context.module.family(context.cls)
    fields = {name: field for cls in family for name, field in cls.fields.items()}
    field = fields.get((merge.attribute or "").removeprefix(f"{method.receiver}."))
    tested = {access.name for access in method.accesses if access.is_test}
    is_set = field is not None and field.default is Default.SET
    if field and is_set and merge.is_strict and not tested & {merge.param, merge.attribute}:
        yield hit("MP109", field.node, method=method.label, name=field.name)


def _children_called(
    context: Context, method: Method
) -> Iterator[tuple[Call, str, ast.Call, bool]]:
    """Yield calls of children: the call, the child's class, what has made it, and if here."""
    imports, made = context.module.imports, defaultdict(list)
    makers = [other for other in context.cls.methods.values() if other.name in MAKING]
    for maker in [method, *(other for other in makers if other is not method)]:
        for access in maker.accesses:
            if access.is_write and (maker is method or "." in access.name):
                made[access.name].append((access.value, maker is method))
    for call in method.calls:
        # A child is called where it is made, or has been made before, as it is or by a partial. A
        # name that is bound more than once may hold any of them.
        inner = call.node.func if isinstance(call.node.func, ast.Call) else None
        values = made[dotted(inner.func if inner else call.node.func)]
        children = [(inner, True), *(values if len(values) == 1 else [])]
        for child, is_here in children:
            if isinstance(child, ast.Call):
                callee = resolve(child.func, imports)
                is_partial = last_name(callee) == "partial"
                if is_partial:
                    callee = resolve(child.args[0] if child.args else None, imports)
                if child is inner or is_partial == bool(inner):
                    yield call, callee, child, is_here


def _given_twice(context: Context, method: Method) -> Iterator[Hit]:
    """MP111: a flag for a child's constructor and for its call."""
    for call, callee, child, is_here in _children_called(context, method):
        given = {keyword.arg: keyword.value for keyword in child.keywords if keyword.arg}
        for flag in context.flags & given.keys():
            first = given[flag]
            # In another method the same text may mean another value.
            texts = {ast.unparse(first)} if is_here else set()
            positional = (item for item in call.node.args if dotted(item) in texts)
            second = call.argument(flag) or next(positional, None)
            if second is None or is_none(second) or is_none(first):
                continue
            param = method.params.get(dotted(second))
            may_be_none = param is not None and param.default is Default.NONE
            is_certain = _never_none(first) and not may_be_none
            is_given_twice = is_certain or ast.unparse(second) in texts
            if is_given_twice and _may_be_strict(context.module, callee, flag):
                yield hit("MP111", second, flag=flag, child=last_name(callee))


def _may_be_strict(module: Module, callee: str, flag: str) -> bool:
    """Whether a child merges strictly: one of this module does, or it is from elsewhere."""
    child = module.named(last_name(callee))
    if child is None:
        return not callee.startswith(LENIENT)
    merges = [merge for method in child.methods.values() for merge in method.merges]
    return any(merge.is_strict and merge.param == flag for merge in merges)


def _never_merged(context: Context) -> Iterator[Hit]:
    """MP112: a field and a parameter of one name, of which only one is read."""
    cls, family = context.cls, context.module.family(context.cls)
    methods = [method for member in family for method in member.methods.values()]
    # Who gets the whole object, or a base that is elsewhere, may read any field.
    escapes = any(it.name == method.receiver for method in methods for it in method.accesses)
    if escapes or not {*cls.bases} <= {member.name for member in family} | ROOTS:
        return
    for name, field in cls.fields.items():
        is_constructors = bool(field.annotation) or isinstance(field.node, ast.arg)
        is_declared = any(declared.attribute == name for declared in cls.declared)
        if field.default is not Default.NONE or not is_constructors or is_declared:
            continue
        is_read = any(
            access.name.split(".")[:2] == [method.receiver, name]
            for method in methods
            if method.name not in {"__init__", "__repr__", "extra_repr"}
            for access in method.accesses
            if not (access.is_write or access.is_test)
        )
        for method in cls.methods.values():
            param, attribute = method.params.get(name), f"{method.receiver}.{name}"
            if param is None or param.default is not Default.NONE or method.is_abstract:
                continue
            is_flag = context.is_flag(field) or context.is_flag(param)
            is_merged = any(
                name in {merge.param, merge.label, _leaf(merge.attribute)}
                for merge in method.merges
            )
            # A method that writes the attribute is there to change the mode.
            if not is_flag or is_merged or method.writes(attribute) or method.name in MAKING:
                continue
            uses = [it for it in method.accesses if it.name == name and not it.is_write]
            reads = [it for it in uses if not it.is_test]
            is_handed_on = any(context.own_method(it.call, method) == (True, None) for it in reads)
            facts = {"method": method.label, "name": name, "attribute": attribute}
            if reads and not is_read and not is_handed_on:
                found, facts["lost"] = field.node, f"the argument {name!r} and never {attribute}"
                yield hit("MP112", found, **facts, giver="the constructor")
                break
            if is_read and not uses and not any(it.callee in READS_ALL for it in method.calls):
                facts["lost"] = f"{attribute} and never the argument {name!r}"
                yield hit("MP112", param.node, **facts, giver="the call")


def _children(method: Method, merge: Merge) -> Iterator[Hit]:
    """MP113: a value that is merged from a child, and that the child is called without."""
    child = (merge.attribute or "").rpartition(".")[0]
    for call in method.calls if merge.target and "." in child else ():
        given = [*call.node.args, *(keyword.value for keyword in call.node.keywords)]
        names = {dotted(inside) for value in given for inside in ast.walk(value)}
        has_rest = any(keyword.arg is None for keyword in call.node.keywords)
        if call.callee == child and not has_rest and not names & {merge.target, merge.param}:
            facts = {"method": method.label, "param": merge.param, "child": child}
            yield hit("MP113", call.node, **facts, attribute=merge.attribute)


def _merged_elsewhere(context: Context, method: Method) -> Iterator[Hit]:
    """MP115 and MP116: a value for another method of the object that merges it too."""
    for call in method.calls:
        _, called = context.own_method(call, method)
        if called is None or called is method:
            continue
        for other in filter(context.counts, called.merges):
            given = call.argument(other.param or "", called)
            name = dotted(given)
            facts = {"method": method.label, "called": called.label, "name": name, "param": name}
            for merge in method.merges:
                merged = [access.node for access in method.accesses[merge.last :]]
                is_same = _leaf(other.attribute) == _leaf(merge.attribute)
                if merge.target == name and other.is_strict and is_same and given in merged:
                    yield hit("MP115", call.node, **facts, attribute=other.attribute)
            param = method.params.get(name)
            is_raw = param is not None and param.default is Default.NONE
            if not is_raw or method.merges_of(name) or method.writes(name):
                continue
            for access in method.reads(name):
                if not context.own_method(access.call, method)[0]:
                    yield hit("MP116", access.node, **facts, attribute=other.attribute)


def _declared(context: Context) -> Iterator[Hit]:
    """MP201, MP203 and MP204: classes with `@mergeable`."""
    cls = context.cls
    for declared in cls.declared:
        name, attribute, method = declared.name, declared.attribute, cls.methods[declared.method]
        facts = {"name": name, "cls": cls.qualname, "method": method.label}
        field = cls.fields.get(attribute)
        if field and field.value and field.default in {Default.SET, Default.NONE}:
            value = "None" if field.default is Default.NONE else ast.unparse(field.value)
            if declared.raises and value != declared.unset:
                yield hit("MP201", field.node, **facts, attribute=attribute, value=value)
        for merge in method.merges_of(name):
            yield hit("MP203", merge.node, **facts)
        # The methods that run as part of the merged one.
        running = [method]
        for part in running:
            called = [context.own_method(call, part)[1] for call in part.calls]
            running += [it for it in called if it is not None and it not in running]
        for part in running if not method.merges_of(name) else ():
            read = f"{part.receiver}.{attribute}"
            for access in part.reads(read) if not part.merges_of(name) else ():
                yield hit("MP204", access.node, **facts, part=part.label, attribute=read)


def _overrides(context: Context) -> Iterator[Hit]:
    """MP202: an override of a merged method that neither merges nor forwards."""
    cls = context.cls
    own = {(declared.name, declared.method) for declared in cls.declared}
    for base in filter(None, map(context.module.named, cls.bases)):
        for declared in base.declared:
            override = cls.methods.get(declared.method)
            # Where the call cannot give the value, the attribute is all there is.
            takes_it = override is not None and declared.name in override.params
            if override is None or not takes_it or (declared.name, declared.method) in own:
                continue
            forwards = any(call.callee == f"super.{override.name}" for call in override.calls)
            if not (forwards or override.is_abstract or override.merges_of(declared.name)):
                facts = {"method": override.label, "name": declared.name, "cls": cls.qualname}
                yield hit("MP202", override.node, **facts)


def _often_meant(context: Context, method: Method) -> Iterator[Hit]:
    """MP901 to MP903: what is a mistake only where it is not meant."""
    for merge in method.merges:
        param = method.params.get(merge.param or "")
        facts = {"method": method.label, "param": merge.param, "attribute": merge.attribute}
        if merge.is_strict and param and param.default is Default.REQUIRED:
            yield hit("MP902", param.node, **facts)
        elif not merge.is_strict and context.is_flag(param):
            yield hit("MP901" if merge.spelling == "or" else "MP903", merge.node, **facts)
