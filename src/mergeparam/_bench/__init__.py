"""Measure a merged method beside the same merge written by hand: what `mergeparam bench` runs."""

from __future__ import annotations

import contextlib
import importlib.util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

EXTRA = ("pyperf", "matplotlib", "rich")


class Refusal(Exception):  # noqa: N818 - it says no; nothing has gone wrong
    """What is asked for cannot be done; the text is one line for the user."""


@contextlib.contextmanager
def refusing(what: str) -> Iterator[None]:
    """Raise as one line what code of the user raises."""
    try:
        yield
    except Refusal:
        raise
    except (Exception, SystemExit) as error:
        text = " ".join(str(error).split())
        msg = f"{what} {type(error).__name__}: {text}"
        raise Refusal(msg) from error


def require_extra() -> None:
    """Raise where a part of the extra `bench` is not installed."""
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        msg = f"bench needs {', '.join(missing)}: pip install 'mergeparam[bench]'"
        raise Refusal(msg)
