"""Names for specifications, by which the merge in a method's code is found again."""

from __future__ import annotations

import itertools
import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Key:
    """A text that no other living specification has.

    The text is a literal in the code of the merged method, so that the code stays free of
    objects. It is the method's qualified name; only a namesake (a class that a function makes
    anew in every call, a reloaded module) gets a number behind it.
    """

    # Written out: what attrs generates is compiled again at every import.
    __slots__ = ("__weakref__", "text")

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        """Return how it is made, for the `repr` of what holds it."""
        return f"Key(text={self.text!r})"

    def __reduce__(self) -> tuple[Callable[[str], Key], tuple[str]]:
        """Take the text up where the specification is unpickled, too."""
        return known_key, (self.text,)


_LIVING: weakref.WeakValueDictionary[str, Key] = weakref.WeakValueDictionary()
_LOCK = threading.Lock()
_NUMBERS = itertools.count(2)


def fresh_key(wish: str) -> Key:
    """Return a key for `wish`, or for `wish` with a number where that is taken.

    A number may be taken too, by a specification that has come from another process.
    """
    with _LOCK:
        text = wish
        while text in _LIVING:
            text = f"{wish}#{next(_NUMBERS)}"
        _LIVING[text] = key = Key(text)
    return key


def known_key(text: str) -> Key:
    """Return the key of a specification that comes with its code from another process."""
    with _LOCK:
        return _LIVING.setdefault(text, Key(text))
