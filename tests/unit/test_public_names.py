"""What `import mergeparam` gives, and what it leaves for later."""

import pickle
import subprocess
import sys
from importlib import metadata
from unittest.mock import Mock

import pytest

import mergeparam

LATER = ("_introspect", "_partial", "_find_unset")


def test_every_public_name_is_there():
    """Names of modules that are imported later are as much there as the others."""
    namespace = {}
    exec("from mergeparam import *", namespace)

    assert set(mergeparam.__all__) <= namespace.keys()
    assert set(mergeparam.__all__) <= set(dir(mergeparam))


def test_a_name_is_the_same_object_ever_after():
    """It is looked up once, and is an attribute of the module from then on."""
    first = mergeparam.find_unset

    assert first is mergeparam.find_unset
    assert first is vars(mergeparam)["find_unset"]


def test_types_show_the_name_that_users_import():
    """Their module is the package, or the module of errors; they pickle by that name."""
    types = [
        value
        for name in mergeparam.__all__
        if isinstance(value := getattr(mergeparam, name), type)
    ]

    assert {"mergeparam", "mergeparam.errors"} == {cls.__module__ for cls in types}
    assert "<class 'mergeparam.strict_partial'>" == repr(mergeparam.strict_partial)
    assert types == pickle.loads(pickle.dumps(types))


def test_no_such_name():
    """The error is that of any module."""
    with pytest.raises(AttributeError, match="module 'mergeparam' has no attribute 'merged'"):
        _ = mergeparam.merged


def test_version(monkeypatch):
    """It is that of what is installed; where nothing is, there is no such attribute."""
    assert metadata.version("mergeparam") == mergeparam.__version__
    assert "__version__" in dir(mergeparam)

    monkeypatch.delitem(vars(mergeparam), "__version__")
    missing = metadata.PackageNotFoundError("mergeparam")
    monkeypatch.setattr(metadata, "version", Mock(side_effect=missing))
    with pytest.raises(AttributeError, match="mergeparam is not installed, and so has no version"):
        _ = mergeparam.__version__


def test_programs_that_only_decorate_do_not_wait():
    """What introspects and what binds is imported where it is used."""
    code = (
        "import sys, mergeparam\n"
        f"later = ['mergeparam.' + name for name in {LATER}]\n"
        "print([name in sys.modules for name in later])\n"
        "mergeparam.strict_partial, mergeparam.route, mergeparam.find_unset\n"
        "print([name in sys.modules for name in later])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[False, False, False]\n[True, True, True]\n" == done.stdout
