"""What single frameworks need; loaded only where the framework is already imported."""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import Any, ClassVar

from mergeparam._frameworks.adapter import UNKNOWN_KEY as UNKNOWN_KEY
from mergeparam._frameworks.adapter import Adapter as Adapter  # noqa: TC001 - exported
from mergeparam.errors import MergeWarning

_waiting = {"IPython", "flax.linen", "jax", "tensorflow", "torch", "typeguard"}
"""Frameworks without an adapter so far. A module of this package holds it as `ADAPTER`."""

_OLDEST = {"flax.linen": (0, 12, 6), "jax": (0, 8, 1), "torch": (2, 11)}
"""From which version on the frameworks are tested whose adapters depend on it."""

_loaded: dict[str, Adapter] = {}

adapters: list[Adapter] = []
"""Those of the frameworks that have been imported so far."""

scope_followers: list[Adapter] = []
"""Those among them that have to hear of scopes; mostly there are none."""


class Seen:
    """How many modules there were when frameworks were last looked for among them."""

    modules: ClassVar[int] = 0


def load_adapters() -> None:
    """Load the adapter of every framework that has been imported since the last time."""
    # A count tells whether anything was imported since, and is quick.
    modules = len(sys.modules)
    if modules == Seen.modules:
        return
    for framework in [*_waiting]:
        spec = _spec_of(framework)
        # So importlib notes that the module is being imported just now. That may end without
        # adding another module.
        if getattr(spec, "_initializing", False):
            modules = 0
        elif spec is not None:
            _load(framework)
    Seen.modules = modules


def _spec_of(framework: str) -> ModuleSpec | None:
    """Return the specification of a framework that was imported from a file, else nothing.

    `None` in `sys.modules` bars an import; tests and documentation builds put mocks and empty
    modules there, whose specification is missing, or a mock, or has no origin. A module that
    intercepts the reading of attributes may be loaded lazily, and would load at the first one.
    """
    module: Any = sys.modules.get(framework)
    kind, plain = type(module), ModuleType
    if not issubclass(kind, plain) or kind.__getattribute__ is not plain.__getattribute__:
        return None
    spec = vars(module).get("__spec__")
    return spec if isinstance(spec, ModuleSpec) and spec.origin is not None else None


def _load(framework: str) -> None:
    """Load one adapter; say so once if that fails, or if the framework is an older one."""
    text = None
    try:
        module = importlib.import_module(f"{__name__}.{framework.rpartition('.')[2].lower()}")
    except RecursionError:
        # That tells nothing about the framework, and the next one who asks has more room.
        raise
    except Exception as error:  # noqa: BLE001 - a framework that is not what it was may raise anything
        text = (
            f"mergeparam does not know this {framework} ({type(error).__name__}: {error}). Merged "
            f"classes work, but not together with {framework}. Upgrade mergeparam."
        )
    else:
        # Another thread, or this one before an interrupt, may have done a part of this already.
        _loaded[framework] = module.ADAPTER
        adapters[:] = _loaded.values()
        scope_followers[:] = [adapter for adapter in adapters if adapter.follows_scopes]
        name, oldest = framework.partition(".")[0], _OLDEST.get(framework, ())
        version = str(getattr(sys.modules.get(name), "__version__", ""))
        # A build may add letters to its version; the numbers come first.
        numbers = tuple([int(number) for number in re.findall(r"\d+", version)[:3]])
        if numbers and numbers < oldest:
            text = (
                f"mergeparam is tested with {name} from {'.'.join(map(str, oldest))} on; this is "
                f"{version}. Upgrade {name}."
            )
    _waiting.discard(framework)
    if text is not None:
        warnings.warn(text, MergeWarning, stacklevel=3)


def is_tracing() -> bool:
    """Whether a framework is tracing the Python code that asks."""
    for adapter in adapters:  # noqa: SIM110 - every error asks, and `any` takes twice as long
        if adapter.is_tracing():
            return True
    return False


def checks_types(function: object) -> bool:
    """Whether beartype or jaxtyping has made a wrapper, which should see merged values."""
    # By its code and globals, because `functools.wraps` copies attributes to other wrappers.
    if not isinstance(function, FunctionType):
        return False
    file, module = function.__code__.co_filename, function.__globals__.get("__name__")
    return file.startswith("<@beartype(") or module == "jaxtyping._decorator"
