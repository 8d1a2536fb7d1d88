"""IPython: what `%autoreload` compiles anew in place is merged anew before the next cell."""

from __future__ import annotations

import contextlib
import weakref
from typing import TYPE_CHECKING, ClassVar

import IPython

from mergeparam._frameworks.adapter import Adapter

if TYPE_CHECKING:
    from collections.abc import Callable


class IPythonAdapter(Adapter):
    """Knows what `%autoreload` does to classes."""

    _merged: ClassVar = weakref.WeakKeyDictionary[type, "Callable[[type], None]"]()

    def keep_merged(self, cls: type, merge_anew: Callable[[type], None]) -> None:
        """Merge the class anew whenever it has been changed.

        Where one method has changed, autoreload compiles that alone, and gives its code, defaults
        and attributes to the function that the class has. There is no merge in them.
        """
        self._merged[cls] = merge_anew
        self._come_last()

    def _come_last(self, *_: object) -> None:
        """Be called last before a cell, because that is when autoreload is called."""
        shell = IPython.get_ipython()
        if shell is not None:
            with contextlib.suppress(ValueError):
                shell.events.unregister("pre_run_cell", self._before_cell)
            shell.events.register("pre_run_cell", self._before_cell)
            # The extension may be loaded later, in any cell.
            shell.events.register("post_run_cell", self._come_last)

    def _before_cell(self, *_: object) -> None:
        failures = []
        for cls, merge_anew in [*self._merged.items()]:
            try:
                merge_anew(cls)
            except Exception as error:  # noqa: BLE001 - the other classes go on
                failures.append(error)
        if failures:
            # IPython shows it before every cell, until the module is run again.
            msg = "autoreload has taken the merge out of methods, and it cannot be put back"
            raise ExceptionGroup(msg, failures)


ADAPTER = IPythonAdapter()
