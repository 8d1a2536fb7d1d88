"""The text of a target in, the merged classes that it names out."""

from __future__ import annotations

import importlib
import importlib.util
import pathlib
import sys
from typing import TYPE_CHECKING

from mergeparam._introspect import merged_methods
from mergeparam.errors import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


class TargetError(Exception):
    """A target that names no merged class; its text is one line for the user."""


def load(target: str) -> list[type]:
    """Return the classes of `module`, `module:Class`, `file.py` or `file.py:Class`."""
    place, _, name = target.partition(":")
    module = _import(place)
    classes = [_class_in(module, name)] if name else list(_classes_of(module, module.__name__))
    merged = [cls for cls in classes if merged_methods(cls)]
    if not merged:
        msg = f"{target} has no merged method; is @mergeable on top of the class?"
        raise TargetError(msg)
    return merged


def _import(place: str) -> ModuleType:
    try:
        return _import_file(place) if place.endswith(".py") else _import_module(place)
    except TargetError:
        raise
    except BaseException as error:
        msg = f"cannot import {place}: {type(error).__name__}: {' '.join(str(error).split())}"
        raise TargetError(msg) from error


def _import_module(name: str) -> ModuleType:
    if "" not in sys.path:
        sys.path.insert(0, "")
    return importlib.import_module(name)


def _import_file(place: str) -> ModuleType:
    """Import a file as `python file.py` would find it: its folder is where it looks first."""
    path = pathlib.Path(place)
    if not path.is_file():
        msg = f"there is no file {place}"
        raise TargetError(msg)
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
        raise TargetError(msg)
    return found


def _classes_of(owner: object, module: str) -> Iterator[type]:
    """Yield the classes that a module defines, nested ones behind the one around them.

    Those of the modules inside a package are its own, where it shows them under their names.
    """
    for name, found in list(vars(owner).items()):
        if isinstance(found, type) and found.__name__ == name and _is_of(found, module):
            yield found
            yield from _classes_of(found, module)


def _is_of(cls: type, module: str) -> bool:
    return cls.__module__ == module or cls.__module__.startswith(f"{module}.")
