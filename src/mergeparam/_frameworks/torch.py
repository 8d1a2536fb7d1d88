"""PyTorch: the children of a module, errors under `torch.compile`, no merge under TorchScript."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mergeparam._frameworks.adapter import Adapter
from mergeparam._frameworks.torchscript import prepare
from mergeparam.errors import MergeDefinitionError, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mergeparam._declare.methods import Method
    from mergeparam._spec import Param

_PREPARE = "__prepare_scriptable__"
"""The method that `torch.jit.script` calls of everything that it is about to compile."""

_SET_BY_MODULE = frozenset(vars(torch.nn.Module()))


class TorchAdapter(Adapter):
    """Knows modules, Dynamo and TorchScript."""

    def check_param(self, method: Method, param: Param) -> None:
        """Refuse to merge what `nn.Module` sets in every object, unless calls overrule it."""
        # Under Keras' PyTorch backend every layer is a module too. Its author says `training` as
        # under any other backend, and only the methods that fit and evaluate set it.
        is_keras = any(base.__module__.startswith("keras.") for base in method.cls.__mro__)
        is_module = issubclass(method.cls, torch.nn.Module) and not is_keras
        if is_module and param.attribute in _SET_BY_MODULE and param.on_conflict != "use_call":
            raise MergeDefinitionError(
                f"{method.label} merges {param.name!r} with self.{param.attribute}, which "
                f"torch.nn.Module sets in every object (train() and eval() change self.training), "
                f"so that no call could set it. Write on_conflict='use_call': then a call "
                f"overrules the module; or merge it with an attribute of another name."
            )

    def finish_class(self, cls: type) -> None:
        """Make `torch.jit.script` refuse the class, unless it says itself what to compile.

        TorchScript compiles a method from its source, which holds no merge: neither and both
        would go unnoticed, and what the constructor has set would be ignored.
        """
        if hasattr(cls, _PREPARE):
            return
        is_module = issubclass(cls, torch.nn.Module)
        setattr(cls, _PREPARE, prepare if is_module else classmethod(prepare))
        if not is_module:
            # A scripted function compiles the classes that it uses without preparing them.
            torch.jit.unused(cls)

    def is_tracing(self) -> bool:
        """Whether Dynamo runs the Python code; hints walk frames, which it cannot trace."""
        return bool(torch.compiler.is_compiling())

    def children(self, obj: object) -> Iterator[tuple[str, object]]:
        """Yield submodules, which are in a dict of their own and not among the attributes."""
        if isinstance(obj, torch.nn.Module):
            for name, child in obj.named_children():
                if isinstance(obj, torch.nn.ModuleDict):
                    yield f"[{name!r}]", child
                else:
                    # `ModuleList` and `Sequential` name their children by numbers.
                    yield f"[{name}]" if name.isdecimal() else f".{name}", child


ADAPTER = TorchAdapter()

# Dynamo cannot trace the `repr` of a tensor, and would complain of that instead of showing the
# error. This is what `torch.compiler.assume_constant_result` does, which would import the compiler
# for it: Dynamo just runs the function. Before 2.13 it can do so for constants only; there a graph
# breaks, and the error comes from Python.
if tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 13):  # pragma: no branch
    shorten._dynamo_marked_constant = True  # type: ignore[attr-defined]  # noqa: SLF001 - see above
