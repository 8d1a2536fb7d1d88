"""`python -m benchmarks`: see `benchmarks.command`, which needs the extra."""

from __future__ import annotations

import sys

from mergeparam._cli.bench import require_extra
from mergeparam._cli.refusal import Refusal


def main() -> int:
    """Run the command, or say what to install first."""
    try:
        require_extra()
    except Refusal as refusal:
        print(f"python -m benchmarks: {refusal}", file=sys.stderr)
        return 2
    from benchmarks.command import main as run  # noqa: PLC0415 - of the extra, which is there by now

    return run()


if __name__ == "__main__":
    sys.exit(main())
