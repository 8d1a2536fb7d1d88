"""What a signal handler may do: raise before any instruction of the code that it interrupts."""

import sys


class Interrupt(BaseException):
    """What a signal handler raises."""


def interrupted(scope, stop, is_meant):
    """Open and close a scope, and raise before so many bytecode instructions of what is meant.

    Files are meant by their names. Return how many instructions there were.
    """
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if not is_meant(frame.f_code.co_filename):
            return None
        frame.f_trace_opcodes = True
        count += event in ("call", "opcode")
        if count == stop:
            sys.settrace(None)
            raise Interrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with scope:
            pass
    finally:
        sys.settrace(before)
    return count
