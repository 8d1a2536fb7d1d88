"""New defaults and annotations; the only place that knows `__annotate__`."""

from __future__ import annotations

import ast
import inspect
import sys
import types
import typing
from typing import TYPE_CHECKING, Any

from mergeparam._parameters import read_defaults, read_parameters
from mergeparam._sentinels import MERGED
from mergeparam._syntax import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FunctionType

    from mergeparam._spec import Param

_VALUE, _VALUE_WITH_FAKE_GLOBALS = 1, 2


class Written:
    """What the author wrote behind the names of a signature, before it was merged."""

    # Written out: what attrs generates is compiled again at every import.
    __slots__ = ("annotate", "annotations", "defaults", "kwdefaults")

    def __init__(
        self,
        defaults: tuple[object, ...] | None,
        kwdefaults: dict[str, object] | None,
        annotations: dict[str, Any],
        annotate: Callable[[int], dict[str, Any]] | None,
    ) -> None:
        self.defaults = defaults
        self.kwdefaults = kwdefaults
        self.annotations = annotations
        self.annotate = annotate

    def __reduce__(self) -> tuple[Any, ...]:
        """Let annotations travel as text: what would evaluate them holds the class's namespace."""
        annotations = self.annotations
        if self.annotate is not None:
            import annotationlib  # type: ignore[import-not-found]  # noqa: PLC0415 - a module of 3.14, needed only here

            text = annotationlib.Format.STRING
            annotations = annotationlib.call_annotate_function(self.annotate, text)
        return Written, (self.defaults, self.kwdefaults, annotations, None)


def set_signature(function: FunctionType, params: tuple[Param, ...]) -> None:
    """Make every one of `params` that `function` has optional; keep all else as it is."""
    unset = {param.name: param.unset for param in params}
    set_defaults(function, unset)
    annotate = getattr(function, "__annotate__", None)
    if annotate is not None:
        function.__annotate__ = _optional_annotate(annotate, unset)  # type: ignore[attr-defined]
    else:
        function.__annotations__ = optional_annotations(function.__annotations__, unset)
    explicit = function.__dict__.get("__signature__")
    if explicit is not None:
        function.__signature__ = _optional_signature(explicit, unset)  # type: ignore[attr-defined]


def read_written(function: FunctionType) -> Written:
    """Return what stands behind the names in the function's signature, unevaluated."""
    annotate = getattr(function, "__annotate__", None)
    return Written(
        function.__defaults__,
        function.__kwdefaults__ and dict(function.__kwdefaults__),
        {} if annotate else dict(function.__annotations__),
        annotate,
    )


def written_signature(function: FunctionType, written: Written) -> inspect.Signature:
    """Return the signature that `function` had when it was read."""
    before = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, closure=function.__closure__
    )
    before.__defaults__, before.__kwdefaults__ = written.defaults, written.kwdefaults
    _set_annotations(before, written)
    return read_signature(before)


def read_signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature; names in annotations that are not defined yet do no harm."""
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415 - a module of 3.14, needed only here

        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
    return inspect.signature(function)


def copy_annotations(source: FunctionType, target: FunctionType) -> None:
    """Give `target` the annotations of `source`, evaluated no earlier than there."""
    _set_annotations(target, read_written(source))


def _set_annotations(function: FunctionType, written: Written) -> None:
    if written.annotate is not None:
        function.__annotate__ = written.annotate  # type: ignore[attr-defined]  # of 3.14
    else:
        function.__annotations__ = written.annotations


def shows(function: FunctionType, params: tuple[Param, ...]) -> bool:
    """Whether a wrapper shows `params` to callers: by `MERGED`, or by a `__signature__`."""
    defaults = read_defaults(function)
    return "__signature__" in function.__dict__ or any(
        defaults.get(param.name) is MERGED for param in params
    )


def set_defaults(function: FunctionType, values: Mapping[str, object]) -> None:
    """Give the parameters that `function` has of those in `values` these defaults."""
    parameters = read_parameters(function.__code__)
    defaults = read_defaults(function)
    defaults |= {name: values[name] for name in parameters.named if name in values}
    positional = (defaults[name] for name in parameters.positional if name in defaults)
    keyword_only = {name: defaults[name] for name in parameters.keyword_only if name in defaults}
    function.__defaults__ = tuple(positional) or None
    function.__kwdefaults__ = keyword_only or None


def optional_annotations(annotations: dict[str, Any], unset: dict[str, object]) -> dict[str, Any]:
    """Return the annotations with those named in `unset` allowing that object too."""
    return {
        name: optional_annotation(annotation, unset[name]) if name in unset else annotation
        for name, annotation in annotations.items()
    }


def optional_annotation(annotation: Any, unset: object) -> Any:  # noqa: ANN401 - annotations are any object
    """Return the annotation, allowing `unset` where it does not already.

    Strings stay strings, so nothing is evaluated; only `None` can be named in them without
    asking what the names of the user's module mean.
    """
    if isinstance(annotation, str):
        return _optional_text(annotation) if unset is None else annotation
    if _allows(annotation, unset):
        return annotation
    addition = None if unset is None else type(unset)
    try:
        return annotation | addition
    except TypeError:
        return _union(annotation, addition)


def _union(annotation: Any, addition: type | None) -> Any:  # noqa: ANN401 - annotations are any object
    try:
        return typing.Union[annotation, addition]  # noqa: UP007 - for objects without an |
    except TypeError:
        return annotation


def _allows(annotation: Any, unset: object) -> bool:  # noqa: ANN401 - annotations are any object
    if any(annotation is wide for wide in (Any, object, unset, type(unset))):
        return True
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _allows(arguments[0], unset)
    unions = (typing.Union, types.UnionType, typing.Literal)
    return origin in unions and any(_allows(argument, unset) for argument in arguments)


def _optional_text(text: str) -> str:
    try:
        node = parse(text, "eval").body
    except SyntaxError:
        return text
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return repr(_optional_text(node.value))
    if _text_allows_none(node):
        return text
    simple = isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.BinOp)
    return f"{text} | None" if simple else f"({text}) | None"


def _text_allows_none(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=None):
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in {"Any", "object"}
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _text_allows_none(left) or _text_allows_none(right)
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            return _subscript_allows_none(name, inner)
        case _:
            return False


def _subscript_allows_none(name: str, inner: ast.expr) -> bool:
    members = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if name in {"Union", "Literal"}:
        return any(_text_allows_none(member) for member in members)
    if name == "Annotated":
        return _text_allows_none(members[0])
    return name == "Optional"


def _optional_annotate(
    annotate: Callable[[int], dict[str, Any]], unset: dict[str, object]
) -> Callable[[int], dict[str, Any]]:
    """Wrap an `__annotate__` of 3.14 (PEP 649), so that nothing is evaluated before its time."""

    def __annotate__(format: int, /) -> dict[str, Any]:  # noqa: A002, N807 - named as PEP 649 does
        if format == _VALUE_WITH_FAKE_GLOBALS:
            raise NotImplementedError(format)
        if format == _VALUE:
            return optional_annotations(annotate(_VALUE), unset)
        import annotationlib  # noqa: PLC0415 - a module of 3.14, needed only here

        return optional_annotations(
            annotationlib.call_annotate_function(annotate, annotationlib.Format(format)), unset
        )

    return __annotate__


def _optional_signature(
    signature: inspect.Signature, unset: dict[str, object]
) -> inspect.Signature:
    parameters = [
        parameter.replace(
            default=unset[name],
            annotation=parameter.annotation
            if parameter.annotation is parameter.empty
            else optional_annotation(parameter.annotation, unset[name]),
        )
        if name in unset
        else parameter
        for name, parameter in signature.parameters.items()
    ]
    return signature.replace(parameters=parameters)
