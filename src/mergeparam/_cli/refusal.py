"""What the command cannot do."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818 - it says no; nothing has gone wrong
    """Something that cannot be done for this target; its text is one line for the user."""


def one_line(error: BaseException) -> str:
    """Return an error as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
