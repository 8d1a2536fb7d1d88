"""What single frameworks need; loaded only where the framework is already imported."""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, ClassVar

from mergeparam._frameworks.adapter import UNKNOWN_KEY as UNKNOWN_KEY
from mergeparam._frameworks.adapter import Adapter as Adapter  # noqa: TC001 - exported
from mergeparam.errors import MergeWarning

_waiting = {"IPython", "beartype", "flax.linen", "jax", "jaxtyping", "torch", "typeguard"}
"""Frameworks without an adapter so far. A module of this package holds it as `ADAPTER`."""

_OLDEST = {"flax.linen": (0, 12, 6), "jax": (0, 8, 1), "torch": (2, 11)}
"""From which version on the frameworks are tested whose adapters depend on it."""

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
    is_importing = False
    # Loading an adapter imports modules itself, so this looks a second time then.
    while len(sys.modules) != _Seen.modules:
        modules, is_importing = len(sys.modules), False
        for framework in [*_waiting]:
            spec = _spec_of(framework)
            # So importlib notes that the module is being imported just now.
            if getattr(spec, "_initializing", False):
                is_importing = True
            elif spec is not None:
                _load(framework)
        _Seen.modules = modules
    # Its import may end without adding another module.
    if is_importing:
        _Seen.modules = 0


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
    """Load one adapter; if that fails, say so once and do without."""
    try:
        module = importlib.import_module(f"{__name__}.{framework.rpartition('.')[2].lower()}")
    except Exception as error:  # noqa: BLE001 - a framework that is not what it was may raise anything
        _waiting.discard(framework)
        text = (
            f"mergeparam does not know this {framework} ({type(error).__name__}: {error}). Merged "
            f"classes work, but not together with {framework}. Upgrade mergeparam."
        )
        warnings.warn(text, MergeWarning, stacklevel=3)
        return
    # Another thread, or this one before an interrupt, may have done a part of this already.
    _loaded[framework] = module.ADAPTER
    adapters[:] = _loaded.values()
    scope_followers[:] = [adapter for adapter in adapters if adapter.follows_scopes]
    _waiting.discard(framework)
    _check_version(framework)


def _check_version(framework: str) -> None:
    """Warn of a framework that is older than any that the tests have run with."""
    name = framework.partition(".")[0]
    version = str(getattr(sys.modules.get(name), "__version__", ""))
    oldest = _OLDEST.get(framework)
    # A build may add letters to its version; the numbers come first.
    numbers = tuple([int(number) for number in re.findall(r"\d+", version)[:3]])
    if oldest is not None and numbers and numbers < oldest:
        text = (
            f"mergeparam is tested with {name} from {'.'.join(map(str, oldest))} on; this is "
            f"{version}. Upgrade {name}."
        )
        warnings.warn(text, MergeWarning, stacklevel=4)


def is_tracing() -> bool:
    """Whether a framework is tracing the Python code that asks."""
    return any(adapter.is_tracing() for adapter in adapters)


def checks_types(function: object) -> bool:
    """Whether a function is a wrapper that checks types, and so should see merged values."""
    return any([adapter.checks_types(function) for adapter in adapters])
