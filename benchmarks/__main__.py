"""`python -m benchmarks`: see `benchmarks.command`, which needs the extra."""

from __future__ import annotations

import sys

from mergeparam._bench import Refusal, require_extra


def main() -> int:
    """Run the command, or say what to install first."""
    try:
        require_extra()
    except Refusal as refusal:
        print(f"python -m benchmarks: {refusal}", file=sys.stderr)
        return 2
    from benchmarks.command import main as run  # noqa: PLC0415 - needs the extra

    return run()


if __name__ == "__main__":
    sys.exit(main())
