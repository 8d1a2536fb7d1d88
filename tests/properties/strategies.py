"""Hypothesis strategies that generate classes with merged parameters, and calls of them."""

import attrs
import wrappers
from hypothesis import strategies as st

from mergeparam import UNSET, Param

NAMES = ("alpha", "beta", "gamma", "delta", "größe", "inner", "value", "__end__")
KINDS = ("positional_only", "positional", "keyword_only")
UNSETS = (None, UNSET, ..., False, "nothing")
WRAPPERS = ("", "logged", "logged_twice", "borrowing")
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

    wrapper: str = ""
    """A decorator of the method."""

    below: tuple[str, ...] = ()
    """What a second `@mergeable` names, under the one that names the rest."""

    again: dict[str, Param] = attrs.Factory(dict)
    """What a subclass merges again, whose method hands all values on to `super()`."""

    module: str | None = None

    @property
    def top(self):
        """Return how the class that is called merges."""
        return self.merged | self.again

    @property
    def namespace(self):
        """Return the globals of the class, but for what the merges need."""
        names = {name: getattr(wrappers, name) for name in WRAPPERS if name}
        return names | ({} if self.module is None else {"__name__": self.module})

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
            *[f"    @{self.wrapper}"] * bool(self.wrapper),
            f"    {keyword} __call__({self.signature(default)}):",
            *[f"        {line}" for line in merge],
            f"        read = lambda: ({''.join(f'{name}, ' for name in self.captured)})",
            f"        {self.word} ({''.join(f'{name}, ' for name in names)}), read()",
        ]
        return "\n".join(lines)

    def subclass(self, default, merge):
        """Return the subclass as source, with `merge` as the first lines of its method."""
        given = [
            f"{name}={name}" if kind == "keyword_only" else name for name, kind in self.parameters
        ]
        given.insert(
            sum(kind != "keyword_only" for _, kind in self.parameters), "*args" * self.has_args
        )
        given.append("**kwargs" * self.has_kwargs)
        lines = [
            "class Child(Layer):",
            f"    def __call__({self.signature(default)}):",
            *[f"        {line}" for line in merge],
            f"        return super().__call__({', '.join(filter(None, given))})",
        ]
        return "\n".join(lines)

    def arguments(self):
        """Return the given values as positional and keyword arguments."""
        positional_only = [name for name, kind in self.parameters if kind == "positional_only"]
        last = max(
            (index for index, name in enumerate(positional_only) if name in self.given), default=-1
        )
        args = [
            self.given.get(name, self.top[name].unset if name in self.merged else 0)
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


def factories(unset):
    """Return a strategy for factories, of which some say "still missing" by the `unset` object."""
    return st.one_of(
        st.builds(lambda value: attrs.Factory(lambda: value), values(unset)),
        st.builds(
            lambda value: attrs.Factory(
                lambda self: value if len(vars(self)) % 2 else unset, takes_self=True
            ),
            st.integers(7, 8),
        ),
    )


@st.composite
def params(draw, name):
    """Return how a parameter of that name merges."""
    unset = draw(st.sampled_from(UNSETS))
    defaults = st.just(attrs.NOTHING), st.just(unset), st.integers(5, 6), factories(unset)
    default = draw(st.one_of(defaults))
    conditions = {}
    if draw(st.booleans()):
        conditions = {
            "when": lambda self: len(vars(self)) % 2,
            "otherwise": draw(st.one_of(values(unset), factories(unset))),
        }
    return Param(
        name,
        **conditions,
        attribute=draw(st.sampled_from((name, f"_{name}"))),
        unset=unset,
        attribute_unset=draw(st.sampled_from((unset, unset, *UNSETS))),
        on_conflict=draw(st.sampled_from(POLICIES)),
        default=default,
    )


@st.composite
def cases(draw, words=("return", "yield"), *, is_plain=False):
    """Return a class to decorate, and a call of it; only what returns can provide.

    A plain one has one decorator, and neither a wrapper nor a subclass.
    """
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    kinds = sorted(
        draw(st.lists(st.sampled_from(KINDS), min_size=len(names), max_size=len(names))),
        key=KINDS.index,
    )
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    merged = {name: draw(params(name)) for name in chosen}
    given = draw(st.lists(st.sampled_from(names), unique=True))
    more = {}
    if not is_plain:
        repeated = draw(st.lists(st.sampled_from(chosen), unique=True))
        more = {
            "wrapper": draw(st.sampled_from(WRAPPERS)),
            "below": tuple(draw(st.lists(st.sampled_from(chosen), unique=True))[1:]),
            "again": {name: draw(params(name)) for name in repeated},
            "module": draw(st.sampled_from((None, "generated"))),
        }
    top = merged | more.get("again", {})
    held = [*merged.values(), *more.get("again", {}).values()]
    return Case(
        parameters=tuple(zip(names, kinds, strict=True)),
        merged=merged,
        has_args=draw(st.booleans()),
        has_kwargs=draw(st.booleans()),
        word=draw(st.sampled_from(words)),
        is_async=draw(st.booleans()),
        captured=tuple(draw(st.lists(st.sampled_from([*names, "self.__class__"]), unique=True))),
        base=draw(st.sampled_from(("object", "dict", "Exception"))),
        attributes={param.attribute: draw(values(param.attribute_unset)) for param in held},
        given={name: draw(values(top[name].unset if name in top else 0)) for name in given},
        **more,
    )
