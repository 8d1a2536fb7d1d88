"""What mergeparam raises and warns."""

from __future__ import annotations

import reprlib
from typing import Any, Self

_SHORTENER = reprlib.Repr()
_SHORTENER.maxstring = _SHORTENER.maxother = _SHORTENER.maxlong = 60


class MergeError(ValueError):
    """A call that could not be merged; the base of the two errors that calls raise.

    Like the error of `flax.linen.merge_param` it is a `ValueError`.

    Attributes:
        owner: qualified name of the object's class; `None` from `merge_param`.
        method: name of the method that was called; `None` from `merge_param`.
        param: name of the parameter; the first one, where several are missing.
        params: the names of all parameters that the error speaks of.
        attribute_value: what the constructor attribute held.
        call_value: what the call gave.

    Every attribute survives pickling, except a value that cannot be pickled: its short `repr`
    takes its place.

    >>> from mergeparam import MergeError, merge_param
    >>> try:
    ...     merge_param("deterministic", None, None)
    ... except MergeError as error:
    ...     error.param
    'deterministic'
    """

    def __init__(
        self,
        message: str,  # noqa: ARG002 - see below
        /,
        *,
        owner: str | None = None,
        method: str | None = None,
        param: str | None = None,
        params: tuple[str, ...] | None = None,
        attribute_value: object = None,
        call_value: object = None,
    ) -> None:
        """Keep the method and the values that the message speaks of."""
        # `BaseException.__new__` has kept the message already, and Dynamo cannot trace a call of
        # `BaseException.__init__` here.
        self.owner = owner
        self.method = method
        self.param = param
        if params is None and param is not None:
            params = (param,)
        self.params: tuple[str, ...] | None = params
        self.attribute_value = attribute_value
        self.call_value = call_value

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by message and fields; `BaseException` alone would lose the keywords."""
        import pickle  # noqa: PLC0415 - only errors that travel need it

        state = dict(self.__dict__)
        for name in ("attribute_value", "call_value"):
            # A value may be pickled and still not be unpickled, which would end the thread that
            # collects the results of worker processes.
            try:
                pickle.loads(pickle.dumps(state[name]))  # noqa: S301 - made in the same line
            except Exception:  # noqa: BLE001 - pickling runs foreign code, which may raise anything
                state[name] = shorten(state[name])
        return type(self), self.args, state

    def __copy__(self) -> Self:
        """Copy with the very same values."""
        copied = type(self)(*self.args)
        copied.__dict__.update(self.__dict__)
        return copied


class MissingParamError(MergeError):
    """Neither the constructor nor the call has set the parameter.

    There is no default to fall back on: it would silently break either training or evaluation
    (Flax's design note "Dealing with Module Arguments").

    >>> from mergeparam import merge_param
    >>> merge_param("deterministic", None, None)
    Traceback (most recent call last):
        ...
    mergeparam.errors.MissingParamError: 'deterministic' is set in neither place...
    """


class ConflictingParamError(MergeError):
    """Both the constructor and the call have set the parameter, even if to equal values.

    One part of the code would silently overrule another (Flax's design note "Dealing with
    Module Arguments").

    >>> from mergeparam import merge_param
    >>> merge_param("deterministic", True, False)
    Traceback (most recent call last):
        ...
    mergeparam.errors.ConflictingParamError: 'deterministic' is set in both places...
    """


class MergeDefinitionError(TypeError):
    """The declaration cannot be right; raised while the class is being defined.

    >>> from mergeparam import mergeable
    >>> @mergeable("determinstic")
    ... class Dropout:
    ...     def __call__(self, x, *, deterministic=None): ...
    Traceback (most recent call last):
        ...
    mergeparam.errors.MergeDefinitionError: ...
    """


class MergeWarning(UserWarning):
    """A merged class is probably not what is meant.

    Such as a body that reads the raw attribute, which is `None` whenever the call gave the value.

    >>> import warnings
    >>> from mergeparam import MERGED, MergeWarning, mergeable
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     @mergeable("train")
    ...     class Layer:
    ...         train = None
    ...         def __call__(self, x, *, train=MERGED):
    ...             return x if self.train else -x
    >>> caught[0].category is MergeWarning
    True
    """


def shorten(value: object) -> str:
    """Return a short `repr` of any value, in one line; a `repr` that raises does no harm."""
    if value is None or value is True or value is False:
        return repr(value)  # the values of most errors, at once
    try:
        try:
            text = _SHORTENER.repr(value)
        except Exception:  # noqa: BLE001 - see below
            # It goes by the names of types, and a foreign class may be called `list` or `array`.
            text = _SHORTENER.repr_instance(value, 1)
        # What a terminal would obey, such as escape sequences, is spelled out.
        text = " ".join(text.split())
        return "".join([char if char.isprintable() else ascii(char)[1:-1] for char in text])
    except Exception:  # noqa: BLE001 - whatever a foreign repr raises
        return f"<{type(value).__name__} object whose repr raises>"


def near(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Return the nearest of the known names as a question in brackets; nothing if none is near."""
    import difflib  # noqa: PLC0415 - only for messages

    found = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {found[0]!r}?)" if found else ""
