"""Wherever a merge cannot be what was declared, somebody hears of it.

Each test says what used to happen instead.
"""

import types
import typing

import pytest
import typing_extensions
from outcomes import MERGES, Base, outcomes

from mergeparam import MERGED, MergeDefinitionError, mergeable, merged_params

T = typing.TypeVar("T")
PROTOCOLS = {
    f"{module.__name__}{'[T]' * is_generic}": (
        module,
        module.Protocol[T] if is_generic else module.Protocol,
    )
    for module in (typing, typing_extensions)
    for is_generic in (False, True)
}


@pytest.mark.parametrize("kind", PROTOCOLS)
def test_protocol_members(kind, options):
    """No object was an instance of a merged protocol, which had our attributes as members."""
    module, base = PROTOCOLS[kind]

    @mergeable("other", method="more")
    @mergeable("flag", **options)
    @module.runtime_checkable
    class Switch(base):
        flag: typing.Any
        other: typing.Any

        def __call__(self, *, flag=MERGED):
            return flag

        def more(self, *, other=MERGED): ...

    @module.runtime_checkable
    class Larger(Switch, module.Protocol):
        def largest(self): ...

    class Held(Base, Switch):
        other = None

    small = types.SimpleNamespace(flag=1, other=2, more=len, __call__=len)
    large = types.SimpleNamespace(**vars(small), largest=len)

    assert [True, True, False] == [isinstance(obj, Switch) for obj in (small, large, Base())]
    assert [False, True] == [isinstance(obj, Larger) for obj in (small, large)]
    assert isinstance(Held(), Switch)
    assert MERGES == outcomes(Held)
    assert ["flag"] == [param.name for param in merged_params(Switch)]
    assert ["other", "flag"] == [item.params[0].name for item in Switch.__mergeable__.methods]
    members = {"flag", "other", "more", "__call__"}
    assert members | {"largest"} == typing_extensions.get_protocol_members(Larger)


def test_function_that_was_compiled_anew():
    """Introspection called the method unmerged, after a tool had replaced its code."""

    @mergeable("flag")
    class Layer(Base):
        def __call__(self, *, flag=MERGED): ...

    Layer.__call__.__code__ = (lambda self, *, flag: flag).__code__
    vars(Layer.__call__).clear()
    with pytest.raises(MergeDefinitionError, match="has lost the merge"):
        merged_params(Layer)
