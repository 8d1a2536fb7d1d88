"""Merged layers that go to other processes.

As a module, its classes travel by name. As a script (`python travelling_layers.py dask`) it has
classes of `__main__`, and prints what their calls come to in a worker.
"""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys

import attrs
import ways_to_workers

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MergeError,
    MissingParamError,
    mergeable,
    merged_signature,
    provide,
    unset_params,
)


@attrs.frozen
class Dropout:
    rate: float
    deterministic: bool | None = None

    def __call__(self, x, *, deterministic: bool = MERGED):
        return x if deterministic else x * (1 - self.rate)


@mergeable("deterministic", inject="inline")
@attrs.frozen
class InlineDropout(Dropout): ...


@mergeable("deterministic", inject="inline")
@attrs.frozen
class InlineScaled(InlineDropout):
    def __call__(self, x, *, deterministic: bool = MERGED):
        return 10 * super().__call__(x, deterministic=deterministic)


@mergeable("deterministic", inject="wrap")
@attrs.frozen
class WrapDropout(Dropout): ...


@mergeable("deterministic", inject="wrap")
@attrs.frozen
class WrapScaled(WrapDropout):
    def __call__(self, x, *, deterministic: bool = MERGED):
        return 10 * super().__call__(x, deterministic=deterministic)


LAYERS = {"inline": (InlineDropout, InlineScaled), "wrap": (WrapDropout, WrapScaled)}
"""A class and a subclass that hands on to it, for each kind of injection."""

CALLS = (
    (True, {}),
    (False, {}),
    (None, {"deterministic": True}),
    (None, {"deterministic": False}),
    (True, {"deterministic": None}),
    (None, {}),
    (True, {"deterministic": False}),
    (False, {"deterministic": False}),
)
"""What the constructor holds, and what the call gives; the last three are wrong."""

WRONG = CALLS[-3:-1]
"""One of each error, because a pool may start anew after every one that comes back."""


def local_layers():
    """Return classes that no module has, so that they travel by value."""

    @mergeable("deterministic")
    @attrs.frozen
    class Local(Dropout): ...

    return Local, scaled(Local)


def scaled(cls):
    """Return a merged subclass that hands on to `super()`."""

    @mergeable("deterministic")
    @attrs.frozen
    class Scaled(cls):
        def __call__(self, x, *, deterministic: bool = MERGED):
            return 10 * super().__call__(x, deterministic=deterministic)

    return Scaled


def local_container(inner):
    """Return a container that provides its flag to the layer inside, by value too."""

    @mergeable("deterministic", provide=True)
    class Container:
        deterministic = None

        def __call__(self, x, *, deterministic: bool = MERGED):
            return inner(x)

    return Container()


def expected(classes):
    """Return what `outcomes` should be."""
    return [
        result
        for cls, factor in zip(classes, (1, 10), strict=True)
        for result in (
            *(factor * x for x in (2.0, 1.0, 2.0, 1.0, 2.0)),
            *expected_errors(cls),
        )
    ]


def expected_errors(cls):
    """Return what the wrong ones among `CALLS` should come to."""
    place = (cls.__name__, "__call__", "deterministic")
    return [
        ["MissingParamError", *place, None, None],
        ["ConflictingParamError", *place, True, False],
        ["ConflictingParamError", *place, False, False],
    ]


def outcomes(classes):
    """Return what every call of every class comes to."""
    return [outcome(cls(0.5, held), 2.0, **given) for cls in classes for held, given in CALLS]


def outcome(call, *args, **kwargs):
    """Return what a call comes to: its result, or the error's kind and fields."""
    try:
        return call(*args, **kwargs)
    except MergeError as error:
        kinds = (MissingParamError, ConflictingParamError)
        kind = next(kind.__name__ for kind in kinds if isinstance(error, kind))
        # cloudpickle keeps no more of a class's qualified name than its last part.
        owner = error.owner.rpartition(".")[2]
        return [kind, owner, error.method, error.param, error.attribute_value, error.call_value]


def raised(run, cls):
    """Return what the wrong calls come to when their errors come back from a worker."""
    return [outcome(run, cls(0.5, held), 2.0, **given) for held, given in WRONG]


def outcome_with_provided(layer):
    """Return what a call comes to for which the flag is provided where this runs."""
    with provide(deterministic=False):
        return outcome(layer, 2.0)


def introspection(layer):
    """Return what is known of a layer."""
    return str(merged_signature(layer)), unset_params(layer)


def is_by_name(cls):
    """Whether the class is the one that its module has in this process."""
    return getattr(sys.modules.get(cls.__module__), cls.__name__, None) is cls


def outcomes_of_subclass(cls):
    """Return what calls of a subclass come to that is made where this runs."""
    return outcomes((cls, scaled(cls)))


def main(way):
    """Print what calls come to in a worker, for each kind of injection.

    There the module is imported by its name, too, and has other classes than the script.
    """
    module = importlib.import_module("travelling_layers")
    with ways_to_workers.WAYS[way]() as run:
        found = {
            inject: {
                "by name": run(is_by_name, classes[0]),
                "outcomes": run(outcomes, classes),
                "raised": raised(run, classes[1]),
                "outcomes of the module": run(module.outcomes, module.LAYERS[inject]),
            }
            for inject, classes in LAYERS.items()
        }
    sys.stdout.write(json.dumps(found))


# Since 3.15 Python says this of a `__main__` that multiprocessing has run again, when it prints a
# traceback.
WARNINGS = ("-W", "error", "-W", "ignore:Module globals is missing:DeprecationWarning")


def run_as_script(way):
    """Run this file in a process of its own, and return what it prints."""
    command = [sys.executable, *WARNINGS, __file__, way]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            printed, complaints = process.communicate(timeout=2 * ways_to_workers.SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, complaints
    return json.loads(printed)


if __name__ == "__main__":
    main(*sys.argv[1:])
