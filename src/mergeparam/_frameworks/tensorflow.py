"""TensorFlow: provided values are not read while a graph is traced, which would keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from mergeparam._frameworks.adapter import Adapter
from mergeparam.errors import MergeError

if TYPE_CHECKING:
    from mergeparam._call.provide import Scope


class TensorFlowAdapter(Adapter):
    """Knows when a `tf.function` is being traced."""

    follows_scopes = True

    def reading(self, scope: Scope, name: str) -> None:
        """Refuse to read what the trace would keep for calls in which it is not provided."""
        if name in scope.values and tf.inside_function():
            raise MergeError(
                f"{name!r} is provided while TensorFlow traces a tf.function, and the trace would "
                f"keep the value for later calls. Give it in the call or to the constructor.",
                param=name,
            )


ADAPTER = TensorFlowAdapter()
