"""What a signal handler raises while scopes open and close."""

import signal

import pytest
from packages import counts_references

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="this system has no interval timers"
)

SCRIPT = """
import random, signal
from mergeparam import MERGED, mergeable, provide
from mergeparam._call.provide import living, provided

class Interrupt(BaseException): pass

def interrupt(*_):
    global raised
    raised += 1
    raise Interrupt

@mergeable("flag", method=("plain", "waiting"), provide=True)
class Layer:
    flag = None
    def plain(self, *, flag=MERGED): pass
    async def waiting(self, *, flag=MERGED): pass

def scope():
    with provide(flag=1): pass

def plain():
    layer.plain(flag=1)

def waiting():
    try:
        layer.waiting(flag=1).send(None)
    except StopIteration:
        pass

def work_until_interrupted(work):
    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.0008))
    while True:
        work()

random.seed(0)
layer, raised, handled, left = Layer(), 0, 0, 0
signal.signal(signal.SIGALRM, interrupt)
for work in (scope, plain, waiting):
    for number in range(120):
        try:
            with provide(outer=1):
                try:
                    work_until_interrupted(work)
                except Interrupt:
                    handled += 1
                    if number % 2:
                        raise
        except Interrupt:
            pass
        left += provided("flag", None) is not None or provided("outer", None) is not None
print(raised == handled, left, len(living.scopes))
"""


@counts_references
def test_interrupts(python):
    """None is swallowed, no scope is left open behind the one around, and the count is right."""
    assert "True 0 0\n" == python("-W", "ignore:coroutine:RuntimeWarning", "-c", SCRIPT)
