"""How parameters are merged, as frozen values without logic."""

from __future__ import annotations

import functools
import keyword
import unicodedata
from collections.abc import Callable  # noqa: TC003 - Sphinx evaluates the annotations
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import attrs

from mergeparam._sentinels import MergedType
from mergeparam.errors import MergeDefinitionError, near, shorten

if TYPE_CHECKING:
    from mergeparam._declare.signature import OriginalSignature

OnConflict: TypeAlias = Literal["raise", "raise_if_different", "use_call", "use_attribute"]
RAISING: tuple[OnConflict, ...] = ("raise", "raise_if_different")
POLICIES: tuple[OnConflict, ...] = (*RAISING, "use_call", "use_attribute")


def _folded(given: str | None) -> Any:  # noqa: ANN401 - the name, or whatever else was given
    """Return a name as Python takes it: it folds characters such as the ligature of f and i."""
    return unicodedata.normalize("NFKC", given) if isinstance(given, str) else given


def _is_path(path: object) -> bool:
    """Whether one can write this behind `self.`."""
    return isinstance(path, str) and all(
        [part.isidentifier() and not keyword.iskeyword(part) for part in path.split(".")]
    )


_nothing = functools.partial(getattr, attrs, "NOTHING")
"""Makes a default of that, since attrs reads `default=NOTHING` as "has no default"."""


@attrs.frozen(order=False)  # as it is anyway; mypy takes it to be ordered
class Param:
    """How one parameter is merged.

    Args:
        name: the parameter's name in the method's signature.
        attribute: where the constructor's value lives on the object: a name or a dotted path
            without `self`, such as `"_deterministic"` or `"wrapped.einsum_str"`. Left out, it
            is the parameter's name. Private names (`__x`) are mangled as in the class's body.
        unset: the object that means "not set", compared by identity.
        attribute_unset: the object that means "not set" on the object, where that is another
            one than in the call. Left out, it is `unset`.
        on_conflict: what happens where both are set. `"raise"`: `ConflictingParamError`, even
            where they are equal. `"raise_if_different"`: the error only where they are not
            equal. `"use_call"`: the call wins, as in Equinox and NNX. `"use_attribute"`: the
            constructor wins, for a pinned layer such as a frozen BatchNorm.
        default: what is used where neither is set: a value, or `attrs.Factory`. With
            `attrs.Factory(f, takes_self=True)`, `f(self)` decides, and may return `unset` for
            "still missing". The `unset` object itself, such as `default=None`, says that the
            parameter may stay unset: the body sees that object then.
        when: a predicate of the object. Where `when(self)` is false, the body sees `otherwise`,
            whatever is set or provided, and callers need not give anything: "required only if
            the rate is positive" (google/flax PR #1191 asks for it). It is asked in every call.
        otherwise: what the body sees then: a value, or `attrs.Factory` as for `default`.

    Raises:
        MergeDefinitionError: a name that is no identifier, a path that is none, an unknown
            policy, `MERGED` or a tuple for `unset`, one of `when` and `otherwise` without the
            other, a `when` that cannot be called.

    Two specifications are equal when their objects are the same: they are compared by identity,
    because arrays do not compare to one truth.

    >>> import attrs
    >>> from mergeparam import MERGED, Param, mergeable
    >>> @mergeable(
    ...     Param("deterministic", when=lambda self: self.rate > 0, otherwise=True),
    ... )
    ... @attrs.frozen
    ... class Dropout:
    ...     rate: float
    ...     deterministic: bool | None = None
    ...
    ...     def __call__(self, x, *, deterministic: bool = MERGED):
    ...         return "kept" if deterministic else "dropped"
    >>> Dropout(rate=0.0)(1.0)
    'kept'
    """

    name: str = attrs.field(converter=_folded)
    attribute: str = attrs.field(default=None, kw_only=True, converter=_folded)
    unset: object = attrs.field(default=None, kw_only=True, eq=id)
    attribute_unset: object = attrs.field(
        default=attrs.Factory(lambda self: self.unset, takes_self=True), kw_only=True, eq=id
    )
    on_conflict: OnConflict = attrs.field(default="raise", kw_only=True)
    default: Any = attrs.field(factory=_nothing, kw_only=True, eq=id)
    when: Callable[[Any], object] | None = attrs.field(default=None, kw_only=True, eq=id)
    otherwise: Any = attrs.field(factory=_nothing, kw_only=True, eq=id)

    def __attrs_post_init__(self) -> None:
        """Refuse values that cannot be meant."""
        name = self.name
        if not _is_path(name) or "." in name:
            raise MergeDefinitionError(
                f"Param(name={shorten(self.name)}) is no parameter's name. "
                f"Write the name of a parameter of the method, such as Param('deterministic')."
            )
        given: str | None = self.attribute
        if given is None:
            # This is attrs' way around a frozen class.
            object.__setattr__(self, "attribute", name)
        elif not _is_path(given) or given.startswith("self."):
            example = given[5:] if _is_path(given) else f"wrapped.{name}"
            raise MergeDefinitionError(
                f"Param({name!r}, attribute={shorten(self.attribute)}) is no path to an "
                f"attribute. Write names with dots between them and without self, such as "
                f"attribute={example!r}."
            )
        for option in ("unset", "attribute_unset"):
            held = getattr(self, option)
            if isinstance(held, MergedType) or type(held) is tuple:
                raise MergeDefinitionError(
                    f"Param({name!r}, {option}={shorten(held)}) names nothing that could mean "
                    f"'not set'. That is one object, by its identity, and not what parameters are "
                    f"written with. Leave it out, or write {option}=UNSET where None is a value; "
                    f"if it differs between the call and the object, unset= and attribute_unset=."
                )
        for held in (self.default, self.otherwise):
            if isinstance(held, MergedType):
                raise MergeDefinitionError(
                    f"MERGED is what parameters of methods are written with, and no value for "
                    f"Param({name!r}). Write a value that the body can use."
                )
        if self.on_conflict not in POLICIES:
            raise MergeDefinitionError(
                f"Param({name!r}, on_conflict={shorten(self.on_conflict)}) is no policy"
                f"{near(shorten(self.on_conflict), POLICIES)}. "
                f"Write one of {', '.join(map(repr, POLICIES))}."
            )
        given_both = [self.when is not None, self.otherwise is not attrs.NOTHING]
        if any(given_both) and not (all(given_both) and callable(self.when)):
            raise MergeDefinitionError(
                f"Param({name!r}, when={shorten(self.when)}) needs a function of the object and "
                f"what the body sees where that is false. Write both, such as "
                f"when=lambda self: self.rate > 0, otherwise=True."
            )

    if TYPE_CHECKING:
        # Not every type checker derives from a converter what the constructor takes.
        def __init__(
            self,
            name: str,
            *,
            attribute: str | None = None,
            unset: object = None,
            attribute_unset: object = ...,
            on_conflict: OnConflict = "raise",
            default: Any = ...,  # noqa: ANN401 - values are any object
            when: Callable[[Any], object] | None = None,
            otherwise: Any = ...,  # noqa: ANN401 - likewise
        ) -> None: ...


class PrivateNames(NamedTuple):
    """The names of what the merge reads besides the method's own parameters."""

    suffix: str  # in which the names of the class's private methods end
    shared: dict[str, str]  # globals that hold objects, by how their names begin
    in_own_module: bool = False  # whether the function's module has our other globals
    through_class: bool = False  # whether private methods are read from the object's class

    def __reduce__(self) -> tuple[Any, ...]:
        """Remember the suffix: a class that has been sent may come back, or another made of it."""
        sent_suffixes.add(self.suffix)
        return PrivateNames, tuple(self)


sent_suffixes: set[str] = set()
"""The suffixes of classes that were pickled by value; they are not used again."""


@attrs.frozen
class MergedMethod:
    """One method as one `@mergeable` merges it, with its parameters in signature order."""

    name: str
    owner: str
    params: tuple[Param, ...]
    injection: Literal["inline", "wrap"]
    size: int  # how many bytes of instructions the merge has in the method's code
    names: PrivateNames = attrs.field(eq=False, repr=False)
    original: OriginalSignature = attrs.field(eq=False, repr=False)
    provides: bool = False  # whether the merged values are provided to the calls in the body


class MergedClass(NamedTuple):
    """What a decorated class carries as `__mergeable__`: its own merged methods."""

    owner: str
    methods: tuple[MergedMethod, ...]
