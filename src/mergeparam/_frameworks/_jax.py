"""JAX: `UNSET` passes `jax.jit`, and the nodes of pytrees are parts of a model."""

from __future__ import annotations

from collections.abc import Iterator

import jax

from mergeparam import _frameworks
from mergeparam._sentinels import UNSET, UnsetType


def _children(obj: object) -> Iterator[tuple[str, object]]:
    """Yield the children of a pytree node, one level deep; a leaf is its own only child.

    Builtin containers are walked through without JAX, which refuses keys that it cannot sort;
    iterators, of which it warns, are no containers.
    """
    if not isinstance(obj, dict | list | tuple | Iterator):
        found, _ = jax.tree_util.tree_flatten_with_path(obj, is_leaf=lambda node: node is not obj)
        yield from ((jax.tree_util.keystr(path), child) for path, child in found if path)


if jax.tree_util.tree_leaves(UNSET):  # nobody has registered it yet
    jax.tree_util.register_pytree_node(
        UnsetType, lambda unset: ((), unset), lambda unset, _: unset
    )
_frameworks.children.append(_children)
# From a tracer one comes to all that has been traced.
_frameworks.closed += (jax.Array, jax.core.Tracer)
