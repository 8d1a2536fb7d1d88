"""The ways in which an object may be copied, and go to another process."""

import copy
import pickle

from packages import cloudpickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def by_pickle(protocol):
    """Return a function that pickles by a protocol and loads."""
    return lambda value: pickle.loads(pickle.dumps(value, protocol))


WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {protocol}": by_pickle(protocol) for protocol in PROTOCOLS},
    "pickle in Python": lambda value: pickle._loads(pickle._dumps(value)),
}
if cloudpickle is not None:
    WAYS["cloudpickle"] = lambda value: cloudpickle.loads(cloudpickle.dumps(value))
