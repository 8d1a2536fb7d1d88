"""Hypothesis strategies that generate classes with merged parameters, and calls of them."""

import attrs
from hypothesis import strategies as st

from mergeparam import UNSET, Param

NAMES = ("alpha", "beta", "gamma", "delta", "größe", "inner", "value", "__end__")
KINDS = ("positional_only", "positional", "keyword_only")
UNSETS = (None, UNSET, ..., False, "nothing")
POLICIES = ("raise", "raise_if_different", "use_call", "use_attribute")


@attrs.frozen
class Case:
    """A method as source text, how it merges, and one call of it."""

    parameters: tuple[tuple[str, str], ...]
    """Names and kinds, in the order of the signature."""

    merged: dict[str, Param]
    has_args: bool
    has_kwargs: bool
    word: str
    """`return` or `yield`, after `def` or `async def`."""

    is_async: bool
    captured: tuple[str, ...]
    base: str
    attributes: dict[str, object]
    given: dict[str, object]

    def signature(self, default):
        """Return the `def` line's parameters, the merged ones with `default(name)`."""
        parts = ["self"]
        written = {kind: self._written(kind, default) for kind in KINDS}
        if written["positional_only"]:
            parts += [*written["positional_only"], "/"]
        parts += written["positional"]
        if self.has_args:
            parts.append("*args")
        elif written["keyword_only"]:
            parts.append("*")
        parts += written["keyword_only"]
        if self.has_kwargs:
            parts.append("**kwargs")
        return ", ".join(parts)

    def _written(self, wanted, default):
        return [
            f"{name}={default(name)}" if name in self.merged else f"{name}=0"
            for name, kind in self.parameters
            if kind == wanted
        ]

    def source(self, default, merge):
        """Return the class as source, with `merge` as the first lines of the body."""
        names = [name for name, _ in self.parameters]
        names += ["args"] * self.has_args + ["kwargs"] * self.has_kwargs
        keyword = "async def" if self.is_async else "def"
        lines = [
            f"class Layer({self.base}):",
            "    def __init__(self, attributes):",
            "        for name, value in attributes.items():",
            "            setattr(self, name, value)",
            f"    {keyword} __call__({self.signature(default)}):",
            *[f"        {line}" for line in merge],
            f"        read = lambda: ({''.join(f'{name}, ' for name in self.captured)})",
            f"        {self.word} ({''.join(f'{name}, ' for name in names)}), read()",
        ]
        return "\n".join(lines)

    def arguments(self):
        """Return the given values as positional and keyword arguments."""
        positional_only = [name for name, kind in self.parameters if kind == "positional_only"]
        last = max(
            (index for index, name in enumerate(positional_only) if name in self.given), default=-1
        )
        args = [
            self.given.get(name, self.merged[name].unset if name in self.merged else 0)
            for name in positional_only[: last + 1]
        ]
        kwargs = {name: value for name, value in self.given.items() if name not in positional_only}
        return args, kwargs


def values(unset):
    """Return a strategy for values that are often the `unset` object."""
    return st.one_of(
        st.just(unset),
        st.booleans(),
        st.none(),
        st.integers(0, 2),
        st.just("text"),
        st.lists(st.integers(0, 1), max_size=1),
    )


@st.composite
def params(draw, name):
    """Return how a parameter of that name merges."""
    unset = draw(st.sampled_from(UNSETS))
    default = draw(st.one_of(st.just(attrs.NOTHING), st.integers(5, 6)))
    return Param(
        name,
        attribute=draw(st.sampled_from((name, f"_{name}"))),
        unset=unset,
        on_conflict=draw(st.sampled_from(POLICIES)),
        default=default,
    )


@st.composite
def cases(draw, words=("return", "yield")):
    """Return a class to decorate, and a call of it; only what returns can provide."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    kinds = sorted(
        draw(st.lists(st.sampled_from(KINDS), min_size=len(names), max_size=len(names))),
        key=KINDS.index,
    )
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    merged = {name: draw(params(name)) for name in chosen}
    given = draw(st.lists(st.sampled_from(names), unique=True))
    return Case(
        parameters=tuple(zip(names, kinds, strict=True)),
        merged=merged,
        has_args=draw(st.booleans()),
        has_kwargs=draw(st.booleans()),
        word=draw(st.sampled_from(words)),
        is_async=draw(st.booleans()),
        captured=tuple(draw(st.lists(st.sampled_from([*names, "self.__class__"]), unique=True))),
        base=draw(st.sampled_from(("object", "dict", "Exception"))),
        attributes={param.attribute: draw(values(param.unset)) for param in merged.values()},
        given={name: draw(values(merged[name].unset if name in merged else 0)) for name in given},
    )
