"""Ways to run a function in another process, and merged layers that go there.

As a module, its classes travel by name. As a script (`python workers.py dask`) it has classes of
`__main__`, and prints what their calls come to in a worker.
"""

import concurrent.futures
import contextlib
import importlib
import json
import multiprocessing
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from unittest import mock

import attrs

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MergeError,
    MissingParamError,
    mergeable,
    provide,
)

SECONDS = 60
"""How long a worker may take for an answer."""


# Each way yields a function that calls another one in a worker. It leaves no worker behind.


@contextlib.contextmanager
def executor(start_method):
    """Use `concurrent.futures`."""
    context = multiprocessing.get_context(start_method)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as workers:
        yield lambda call, *args, **kwargs: workers.submit(call, *args, **kwargs).result(SECONDS)


@contextlib.contextmanager
def pool():
    """Use `multiprocessing.Pool`."""
    with multiprocessing.get_context("spawn").Pool(1) as workers:
        yield lambda call, *args, **kwargs: workers.apply_async(call, args, kwargs).get(SECONDS)
        workers.close()
        workers.join()


@contextlib.contextmanager
def joblib():
    """Use joblib, which sends what it cannot pickle by name through cloudpickle."""
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    def run(call, *args, **kwargs):
        # With one job, joblib would stay in this process.
        calls = [delayed(call)(*args, **kwargs), delayed(int)()]
        return Parallel(n_jobs=2, timeout=SECONDS)(calls)[0]

    try:
        yield run
    finally:
        get_reusable_executor().shutdown(wait=True, kill_workers=True)


@contextlib.contextmanager
def dask():
    """Use Dask with a cluster of one process."""
    from distributed import Client, LocalCluster

    workers = {"n_workers": 1, "threads_per_worker": 1, "processes": True}
    places = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with (
        tempfile.TemporaryDirectory(prefix="dask") as folder,
        LocalCluster(**workers, **places, local_directory=folder) as cluster,
        Client(cluster) as client,
    ):
        yield lambda call, *args, **kwargs: client.submit(call, *args, **kwargs).result(SECONDS)


@contextlib.contextmanager
def ray():
    """Use Ray with one worker; what it reads when it is imported keeps it on this machine."""
    settings = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    with (
        tempfile.TemporaryDirectory(prefix="ray") as folder,
        mock.patch.dict(os.environ, settings),
    ):
        import ray

        logs = {"configure_logging": False, "include_dashboard": False, "log_to_driver": False}
        ray.init(num_cpus=1, object_store_memory=80 * 2**20, _temp_dir=folder, **logs)
        try:
            remote = ray.remote(_call)
            yield lambda *args, **kwargs: ray.get(remote.remote(*args, **kwargs), timeout=SECONDS)
        finally:
            ray.shutdown()


def _call(call, *args, **kwargs):
    return call(*args, **kwargs)


WAYS = {
    "spawn": lambda: executor("spawn"),
    "forkserver": lambda: executor("forkserver"),
    "pool": pool,
    "joblib": joblib,
    "dask": dask,
    "ray": ray,
}


# What travels.


@attrs.frozen
class Dropout:
    rate: float
    deterministic: bool | None = None

    def __call__(self, x, *, deterministic: bool = MERGED):
        return x if deterministic else x * (1 - self.rate)


def scaled(cls, **options):
    """Return a merged subclass that hands on to `super()`."""

    @mergeable("deterministic", **options)
    @attrs.frozen
    class Scaled(cls):
        def __call__(self, x, *, deterministic: bool = MERGED):
            return 10 * super().__call__(x, deterministic=deterministic)

    return Scaled


def layers(**options):
    """Return classes that no module has, so that they travel by value."""

    @mergeable("deterministic", **options)
    @attrs.frozen
    class Local(Dropout): ...

    return Local, scaled(Local, **options)


def named(prefix, classes):
    """Give classes to this module, so that they travel by name."""
    for cls in classes:
        cls.__name__ = cls.__qualname__ = prefix + cls.__name__
        globals()[cls.__name__] = cls
    return classes


LAYERS = {inject: named(inject, layers(inject=inject)) for inject in ("inline", "wrap")}
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


def local_container(inner):
    """Return a container that provides its flag to the layer inside."""

    @mergeable("deterministic", provide=True)
    class Container:
        deterministic = None

        def __call__(self, x, *, deterministic: bool = MERGED):
            return inner(x)

    return Container()


def expected():
    """Return what `outcomes` should be."""
    return [[factor * x for x in (2, 1, 2, 1, 2)] + expected_errors() for factor in (1, 10)]


def expected_errors():
    """Return what the wrong ones among `CALLS` should come to."""
    return [
        ["MissingParamError", "__call__", "deterministic", None, None],
        ["ConflictingParamError", "__call__", "deterministic", True, False],
        ["ConflictingParamError", "__call__", "deterministic", False, False],
    ]


def outcomes(classes):
    """Return what every call of every class comes to."""
    return [[outcome(cls(0.5, held), 2, **given) for held, given in CALLS] for cls in classes]


def outcome(call, *args, **kwargs):
    """Return what a call comes to: its result, or the error's kind and fields."""
    try:
        return call(*args, **kwargs)
    except MergeError as error:
        kinds = (MissingParamError, ConflictingParamError)
        kind = next(kind.__name__ for kind in kinds if isinstance(error, kind))
        return [kind, error.method, error.param, error.attribute_value, error.call_value]


def raised(run, cls):
    """Return what the wrong calls come to when their errors come back from a worker."""
    return [outcome(run, cls(0.5, held), 2, **given) for held, given in WRONG]


def outcome_with_provided(layer):
    """Return what a call comes to for which the flag is provided where this runs."""
    with provide(deterministic=False):
        return outcome(layer, 2)


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
    module = importlib.import_module("workers")
    with WAYS[way]() as run:
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
            printed, complaints = process.communicate(timeout=2 * SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, complaints
    return json.loads(printed)


if __name__ == "__main__":
    main(*sys.argv[1:])
