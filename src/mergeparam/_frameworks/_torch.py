"""PyTorch: the children of a module are parts of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mergeparam import _frameworks

if TYPE_CHECKING:
    from collections.abc import Iterator


def _children(obj: object) -> Iterator[tuple[str, object]]:
    if isinstance(obj, torch.nn.Module):
        for name, child in obj.named_children():
            yield _step(obj, name), child


def _step(module: torch.nn.Module, name: str) -> str:
    if isinstance(module, torch.nn.ModuleDict):
        return f"[{name!r}]"
    return f"[{name}]" if name.isdecimal() else f".{name}"


_frameworks.children.append(_children)
