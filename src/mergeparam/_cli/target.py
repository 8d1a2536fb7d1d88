"""The classes that a target on the command line names."""

from __future__ import annotations

import importlib
import importlib.util
import pathlib
import sys
from typing import TYPE_CHECKING

from mergeparam._bench import Refusal, refusing
from mergeparam._introspect import merged_methods
from mergeparam.errors import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


HELP = "module, module:Class, path/to/file.py or path/to/file.py:Class"


def load(target: str) -> list[type]:
    """Return the merged classes of a target."""
    place, _, name = target.partition(":")
    with refusing(f"cannot import {place}:"):
        module = _import(place)
    classes = [_class_in(module, name)] if name else list(_classes_of(module, module.__name__))
    merged = [cls for cls in classes if merged_methods(cls)]
    if not merged:
        msg = f"{target} has no merged method; is @mergeable on top of the class?"
        raise Refusal(msg)
    return merged


def _import(place: str) -> ModuleType:
    """Import a module, or a file as `python file.py` finds it: with its folder searched first."""
    path = pathlib.Path(place)
    if path.suffix != ".py":
        if "" not in sys.path:
            sys.path.insert(0, "")
        return importlib.import_module(place)
    if not path.is_file():
        msg = f"there is no file {place}"
        raise Refusal(msg)
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]  # .py has a loader
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)  # type: ignore[union-attr]  # .py has a loader
    return module


def _class_in(module: ModuleType, name: str) -> type:
    found: object = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type):
        kind = "nothing" if found is None else f"{shorten(found)}, which is no class,"
        msg = f"{module.__name__} has {kind} under the name {name}"
        raise Refusal(msg)
    return found


def _classes_of(owner: object, module: str) -> Iterator[type]:
    """Yield the classes that a module defines, nested ones after the one around them.

    A package's classes include those of its inner modules that it exposes under their names.
    """
    for name, found in list(vars(owner).items()):
        is_class = isinstance(found, type) and found.__name__ == name
        if is_class and f"{found.__module__}.".startswith(f"{module}."):
            yield found
            yield from _classes_of(found, module)
