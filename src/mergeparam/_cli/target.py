"""The classes that a target on the command line names."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mergeparam._bench import Refusal, refusing
from mergeparam._introspect import merged_methods
from mergeparam.errors import near, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

HELP = "a module, package, file.py or folder, or a class in it: module:Class, file.py:Class"


def load(target: str) -> tuple[list[type], list[Refusal]]:
    """Return the merged classes of a target, and why some modules below it are left out."""
    # A colon may be that of a drive.
    place, name = re.findall(r"^(.*?)(?::([\w.]+))?$", target)[0]
    classes, left_out, folders = list[type](), list[Refusal](), [place]
    if name or not place or not Path(place).is_dir():
        module = _import(place)
        classes = [_class_in(module, name)] if name else [*_classes_of(module, module.__name__)]
        folders = [] if name else [*getattr(module, "__path__", ())]
    for file in (file for folder in folders for file in _files_below(folder)):
        try:
            module = _import(file)
        except Refusal as refusal:
            left_out.append(refusal)
        else:
            classes += _classes_of(module, module.__name__)
    # A package may expose what the modules below it define.
    merged = [cls for cls in dict.fromkeys(classes) if merged_methods(cls)]
    if not merged:
        msg = f"{target} has no merged method; is @mergeable on top of the class?"
        raise Refusal(" ".join([msg, *map(str, left_out)]))
    return merged, left_out


def _files_below(folder: str) -> Iterator[str]:
    """Yield the files of a folder, but no hidden ones, no programs, and no environments."""
    for place, folders, files in os.walk(folder):
        is_environment = "pyvenv.cfg" in files
        folders[:] = sorted(name for name in folders if name[0] != "." and not is_environment)
        for name in sorted(files):
            if name.endswith(".py") and name != "__main__.py" and not is_environment:
                yield str(Path(place, name))


def _import(place: str) -> ModuleType:
    """Import a module, or a file with its folder searched first, as `python file.py` does."""
    # What modules print while they are imported is none of the command's output.
    with refusing(f"cannot import {place}:"), contextlib.redirect_stdout(sys.stderr):
        if not place.endswith(".py"):
            sys.path.insert(0, "")
            return importlib.import_module(place)
        path = Path(place).resolve()
        if not path.is_file():
            msg = f"there is no file {place}"
            raise Refusal(msg)
        names, root = [path.stem] * (path.stem != "__init__"), path.parent
        while (root / "__init__.py").exists():
            names, root = [root.name, *names], root.parent
        name = ".".join(names)
        sys.path.insert(0, str(root))
        if root != path.parent:
            # Relative imports work only under the full name.
            module = importlib.import_module(name)
            if not path.samefile(module.__file__ or root):
                msg = f"{place} cannot be imported: another {name} is {module.__file__}"
                raise Refusal(msg)
            return module
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]  # .py has a loader
        sys.modules[name] = module
        spec.loader.exec_module(module)  # type: ignore[union-attr]  # .py has a loader
        return module


def _class_in(module: ModuleType, name: str) -> type:
    found: object = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type):
        kind = "nothing" if found is None else f"{shorten(found)}, which is no class,"
        hint = near(name, dir(module))
        msg = f"{module.__name__} has {kind} under the name {name}{hint}"
        raise Refusal(msg)
    return found


def _classes_of(owner: object, module: str) -> Iterator[type]:
    """Yield the classes that a module or one below it defines, nested ones behind theirs."""
    for name, found in list(vars(owner).items()):
        is_class = isinstance(found, type) and found.__name__ == name
        if is_class and f"{found.__module__}.".startswith(f"{module}."):
            yield found
            yield from _classes_of(found, module)
