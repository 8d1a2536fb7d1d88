"""The options of the decorator that hold for every parameter that is given by name."""

import attrs
import pytest

from mergeparam import MERGED, UNSET, MergeDefinitionError, Param, mergeable, merged_params

ATTRIBUTE, SHARED = {"attribute": "_timeout"}, {"unset": UNSET, "on_conflict": "use_call"}


def define(*params, **options):
    """Return how the parameters of a class are merged, in two methods that have one each."""

    class Client:
        def __init__(self):
            self.timeout = self._timeout = self.auth = self.own = UNSET

        def get(self, url, *, timeout=MERGED): ...

        def post(self, url, *, auth=MERGED): ...

        def both(self, url, *, timeout=MERGED, auth=MERGED, own=None): ...

    mergeable(*params, **options)(Client)
    methods = ("get", "post", "both")
    return {name: merged_params(Client, name) for name in methods if merged_params(Client, name)}


@pytest.mark.parametrize(
    ("params", "options", "expected"),
    [
        (["timeout", "auth"], {"default": 5.0, **SHARED}, {}),
        (["timeout", "auth"], {"default": None, **SHARED}, {}),
        (["timeout", Param("auth", default=3)], SHARED, {"auth": Param("auth", default=3)}),
        ([], SHARED, {}),
        ([], {"default": attrs.Factory(list)}, {}),
    ],
)
def test_for_every_name(params, options, expected):
    """They make the `Param` of each name, or of each that bare `@mergeable` takes."""
    timeout, auth = [expected.get(name, Param(name, **options)) for name in ("timeout", "auth")]

    assert {"get": (timeout,), "post": (auth,), "both": (timeout, auth)} == define(
        *params, method=("get", "post", "both"), **options
    )


def test_attribute():
    """It goes with one name, beside `Param`s of their own."""
    own = Param("own", on_conflict="use_attribute")

    assert {"both": (Param("timeout", **ATTRIBUTE), Param("auth"), own)} == define(
        "timeout", Param("auth"), own, method="both", **ATTRIBUTE
    )


@pytest.mark.parametrize(
    ("params", "options", "match"),
    [
        (["timeout", "auth"], ATTRIBUTE, "attribute=, .*one parameter.* there are 2"),
        ([], ATTRIBUTE, "there are 0.*Write Param"),
        ([Param("own")], SHARED, r"by name, and none is.*Param\('own', \.\.\.\)"),
        ([Param("own")], ATTRIBUTE, "by name, and none is"),
        (["timeout"], {"unset": (None, UNSET)}, r"Param\('timeout', unset=.*one object"),
        (["timeout"], {"on_conflict": "first"}, r"Param\('timeout', on_conflict='first'\)"),
        (
            ["timeout"],
            {"onconflict": "use_call"},
            "'onconflict' .did you mean 'on_conflict'",
        ),
        (["timeout"], {"fallback": 1}, "no option 'fallback'. It has method, attribute, unset"),
        (["timeout"], {"when": callable}, r"Param has: write Param\('...', when="),
        ([], {"attribute_unset": None}, "Param has"),
    ],
)
def test_refused(params, options, match):
    """Options that would hold for nothing or for too much, and those that there are not."""
    with pytest.raises(MergeDefinitionError, match=match):
        define(*params, method="both", **options)


def test_refused_at_once():
    """What is wrong with an option needs no class to be found."""
    with pytest.raises(TypeError, match="no option 'methods' .did you mean 'method'"):
        mergeable("timeout", methods=("get", "post"))
