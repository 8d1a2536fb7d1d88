"""The ways to run a function in another process, each as a context manager.

Each yields `run(function, *args, **kwargs)`, which returns the function's result or raises its
error. They start one or two workers on this machine, and leave none behind.
"""

import concurrent.futures
import contextlib
import multiprocessing
import os
import secrets
import tempfile
from unittest import mock

SECONDS = 60
"""How long a worker may take for an answer."""


@contextlib.contextmanager
def executor(start_method):
    """Use `concurrent.futures`."""
    context = multiprocessing.get_context(start_method)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as workers:
        yield lambda call, *args, **kwargs: workers.submit(call, *args, **kwargs).result(SECONDS)


@contextlib.contextmanager
def pool(start_method):
    """Use `multiprocessing.Pool`."""
    with multiprocessing.get_context(start_method).Pool(1) as workers:
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
    "pool": lambda: pool("spawn"),
    "joblib": joblib,
    "dask": dask,
    "ray": ray,
}
