"""Whether standard output is written in colours."""

import importlib.util
import os
import sys


def has_colours() -> bool:
    """Whether it is a terminal, nobody refuses colours, and Rich, of the extra `cli`, is there."""
    is_wanted = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return is_wanted and importlib.util.find_spec("rich") is not None
