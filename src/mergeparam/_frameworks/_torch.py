"""PyTorch: the children of a module, errors under `torch.compile`, no merge under TorchScript."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mergeparam import _frameworks
from mergeparam._frameworks._torchscript import prepare_module, refuse
from mergeparam.errors import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREPARE = "__prepare_scriptable__"
"""The method that `torch.jit.script` calls of everything that it is about to compile."""


def _children(obj: object) -> Iterator[tuple[str, object]]:
    if isinstance(obj, torch.nn.Module):
        for name, child in obj.named_children():
            yield _step(obj, name), child


def _step(module: torch.nn.Module, name: str) -> str:
    if isinstance(module, torch.nn.ModuleDict):
        return f"[{name!r}]"
    return f"[{name}]" if name.isdecimal() else f".{name}"


def _refuse_torchscript(cls: type) -> None:
    """Make `torch.jit.script` refuse the class, unless it says itself what is to be compiled.

    TorchScript compiles a method from its source, which holds no merge: neither and both would
    go unnoticed, and what the constructor has set would be ignored.
    """
    if hasattr(cls, _PREPARE):
        return
    if issubclass(cls, torch.nn.Module):
        setattr(cls, _PREPARE, prepare_module)
        return
    setattr(cls, _PREPARE, classmethod(refuse))
    # A scripted function compiles the classes that it uses without preparing them.
    torch.jit.unused(cls)


_frameworks.children.append(_children)
_frameworks.finishers.append(_refuse_torchscript)
_frameworks.tracing.append(torch.compiler.is_compiling)

# Dynamo cannot trace the `repr` of a tensor, and would complain of that instead of showing the
# error. This is what `torch.compiler.assume_constant_result` does, which would import the compiler
# for it: Dynamo just runs the function.
shorten._dynamo_marked_constant = True  # type: ignore[attr-defined]  # noqa: SLF001 - see above
