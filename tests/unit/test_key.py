"""Keys are unique among the living, also among those that come from other processes."""

import copy
import gc
import itertools
import pickle

from mergeparam import _key
from mergeparam._key import fresh_key, known_key


def test_namesakes_get_numbers():
    """The first has the plain name; it is free again when nobody has it."""
    first = fresh_key("unit.test")
    second, third = fresh_key("unit.test"), fresh_key("unit.test")
    texts = [first.text, second.text, third.text]

    assert "unit.test" == first.text
    assert 3 == len(set(texts))
    assert all(text.startswith("unit.test#") for text in texts[1:])
    del first
    gc.collect()
    assert "unit.test" == fresh_key("unit.test").text


def test_a_key_that_travels_is_the_same():
    """A copy in the same process is the very key."""
    key = fresh_key("unit.travel")

    assert key is pickle.loads(pickle.dumps(key))
    assert key is copy.deepcopy(key)


def test_a_key_from_elsewhere_is_taken():
    """A key that comes with its code keeps others from its text."""
    packed = pickle.dumps(fresh_key("unit.elsewhere"))
    gc.collect()
    foreign = pickle.loads(packed)

    assert "unit.elsewhere" == foreign.text
    assert foreign.text != fresh_key("unit.elsewhere").text


def test_a_number_from_elsewhere_is_taken(monkeypatch):
    """So is a key that got its number in another process."""
    monkeypatch.setattr(_key, "_NUMBERS", itertools.count(2))
    foreign, first = known_key("unit.number#2"), fresh_key("unit.number")
    second = fresh_key("unit.number")

    assert ["unit.number#2", "unit.number"] == [foreign.text, first.text]
    assert "unit.number#3" == second.text


def test_a_key_shows_its_text():
    """In the `repr` of a specification it says what it is."""
    assert "Key(text='unit.shown')" == repr(fresh_key("unit.shown"))
