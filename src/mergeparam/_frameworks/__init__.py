"""What single frameworks need; loaded only where the framework is already imported."""

from __future__ import annotations

import importlib
import sys
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import ClassVar

from mergeparam._frameworks.adapter import UNKNOWN_KEY as UNKNOWN_KEY
from mergeparam._frameworks.adapter import Adapter as Adapter  # noqa: TC001 - exported
from mergeparam.errors import MergeWarning, shorten

_MODULES = {
    "IPython": "ipython",
    "beartype": "beartype",
    "flax.linen": "linen",
    "jax": "jax",
    "jaxtyping": "jaxtyping",
    "torch": "torch",
    "typeguard": "typeguard",
}
"""Frameworks, and the modules of this package that hold their adapters as `ADAPTER`."""

_waiting = set(_MODULES)
_loaded: dict[str, Adapter] = {}

adapters: list[Adapter] = []
"""Those of the frameworks that have been imported so far."""

scope_followers: list[Adapter] = []
"""Those among them that have to hear of scopes; mostly there are none."""


class _Seen:
    """How many modules there were when frameworks were last looked for among them."""

    modules: ClassVar[int] = 0


def load_adapters() -> None:
    """Load the adapter of every framework that has been imported since the last time."""
    # A count tells whether anything was imported since, and is quick.
    if len(sys.modules) == _Seen.modules:
        return
    # Loading an adapter imports modules itself, so this looks a second time then.
    while len(sys.modules) != _Seen.modules:
        _Seen.modules = len(sys.modules)
        for framework in [*_waiting]:
            if _spec_of(framework) is not None and not _is_initializing(framework):
                _load(framework)
    # The import of a framework may end without adding another module.
    if any(map(_is_initializing, _waiting)):
        _Seen.modules = 0


def _spec_of(framework: str) -> ModuleSpec | None:
    """Return the specification of a framework that was imported from a file, else nothing.

    `None` in `sys.modules` bars an import; tests and documentation builds put mocks and empty
    modules there, whose specification is missing, or a mock, or has no origin. A module that
    intercepts the reading of attributes may be loaded lazily, and would load at the first one.
    """
    module: object = sys.modules.get(framework)
    if (
        not issubclass(type(module), ModuleType)
        or type(module).__getattribute__ is not ModuleType.__getattribute__
    ):
        return None
    spec = vars(module).get("__spec__")
    return spec if isinstance(spec, ModuleSpec) and spec.origin is not None else None


def _is_initializing(framework: str) -> bool:
    """Whether a framework is being imported just now, as importlib notes it."""
    return getattr(_spec_of(framework), "_initializing", False)


def _load(framework: str) -> None:
    """Load one adapter; if that fails, say so once and do without."""
    failure: Exception | None = None
    try:
        module = importlib.import_module(f"{__name__}.{_MODULES[framework]}")
    except Exception as error:  # noqa: BLE001 - a framework that is not what it was may raise anything
        failure = error
    else:
        # Nothing here depends on whether another thread, or this one before an interrupt, has
        # done it already.
        _loaded[framework] = module.ADAPTER
        adapters[:] = _loaded.values()
        scope_followers[:] = [adapter for adapter in adapters if adapter.follows_scopes]
    _waiting.discard(framework)
    if failure is not None:
        msg = (
            f"mergeparam does not know this version of {framework}: {shorten(failure)}. Merged "
            f"classes work, but not together with {framework}. Upgrade mergeparam."
        )
        warnings.warn(MergeWarning(msg), stacklevel=3)


def is_tracing() -> bool:
    """Whether a framework is tracing the Python code that asks."""
    return any(adapter.is_tracing() for adapter in adapters)


def checks_types(function: object) -> bool:
    """Whether a function is a wrapper that checks types, and so should see merged values."""
    return any([adapter.checks_types(function) for adapter in adapters])
