"""`Param`: its normal form, its checks, its equality."""

import attrs
import pytest
from packages import np
from ways import WAYS

from mergeparam import MERGED, UNSET, MergeDefinitionError, Param


def test_normal_form():
    """What is left out has its default, and the attribute is the name."""
    param = Param("flag", unset=UNSET)
    nothing = attrs.NOTHING

    assert ("flag", "flag", UNSET, UNSET, "raise", nothing, None, nothing) == attrs.astuple(param)
    assert Param("flag") == Param("flag", attribute="flag") == Param("flag", attribute=None)
    # As Python folds names: the first characters are ligatures.
    assert Param("flag", attribute="fi.fl") == Param("\ufb02ag", attribute="\ufb01.\ufb02")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"name": "no name"}, r"Param\(name='no name'\) is no parameter's name"),
        ({"name": 3}, "no parameter's name"),
        ({"name": "class"}, "no parameter's name"),
        ({"name": "a.b"}, "no parameter's name"),
        ({"name": "x", "attribute": "a.class"}, "no path"),
        ({"name": "x", "attribute": "a..b"}, "no path.*wrapped.x"),
        ({"name": "x", "attribute": "self.a.b"}, "no path.*without self, such as .*='a.b'"),
        ({"name": "x", "attribute": "self.a[0]"}, "no path.*without self, such as .*='wrapped.x'"),
        (
            {"name": "x", "on_conflict": "user_call"},
            r"no policy \(did you mean 'use_call'\?\)\. W",
        ),
        ({"name": "x", "attribute": ""}, "no path"),
        ({"name": "x", "attribute": 3}, "no path"),
        ({"name": "x", "on_conflict": "explode"}, "no policy.*'use_call'"),
        ({"name": "x", "unset": MERGED}, "unset=MERGED.*not what par.*write unset=UNSET"),
        ({"name": "x", "attribute_unset": MERGED}, "attribute_unset=MERGED"),
        (
            {"name": "x", "unset": (None, UNSET)},
            r"unset=\(None, UNSET.*one object, by its id.*attribute_uns",
        ),
        ({"name": "x", "attribute_unset": ()}, r"attribute_unset=\(\)\) names nothing"),
        ({"name": "x", "when": callable}, "needs a function.*and what.*Write both"),
        ({"name": "x", "otherwise": None}, "needs a function.*and what.*Write both"),
        ({"name": "x", "when": "rate", "otherwise": 1}, "when='rate'.*lambda self"),
        (
            {"name": "x", "default": MERGED},
            "MERGED is what parameters",
        ),
        ({"name": "x", "otherwise": MERGED, "when": callable}, "MERGED is what .* Write a value"),
    ],
)
def test_checks(arguments, match):
    """Every field is checked, and the message holds the fix."""
    with pytest.raises(MergeDefinitionError, match=match):
        Param(**arguments)


def test_equality_is_identity_of_values():
    """Arrays for `unset` or `default` do no harm."""
    array = np.arange(3)

    assert Param("x", default=array) == Param("x", default=array)
    assert Param("x", default=array) != Param("x", default=np.arange(3))
    assert Param("x", attribute_unset=array) == Param("x", attribute_unset=array)
    assert Param("x", when=len, otherwise=array) != Param("x", when=len, otherwise=np.arange(3))
    assert hash(Param("x", unset=array)) == hash(Param("x", unset=array))


@pytest.mark.parametrize("way", WAYS)
def test_travels(way):
    """A `Param` survives copies and pickles, with its sentinel."""
    condition = {"attribute_unset": None, "when": callable, "otherwise": True}
    param = Param("x", attribute="a.b", unset=UNSET, default=None, **condition)

    assert param == WAYS[way](param)
    assert attrs.NOTHING is WAYS[way](Param("x")).default
