"""Flax's own merges under conditions, and those that may stay unset, taken out and declared.

The source of a method of Flax loses its merge, and the same class gets a declaration for it. Then
both are called in every combination of what the constructor and the call can say.
"""

import ast
import inspect
import itertools
import sys

import pytest

from mergeparam import Param, mergeable, unset_params

jax = pytest.importorskip("jax", reason="jax is not installed")
nn = pytest.importorskip("flax.linen", reason="flax is not installed")
nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
layers = pytest.importorskip("linen_layers", reason="flax is not installed")

jnp = jax.numpy
X = jnp.linspace(-1.0, 1.0, 24).reshape(2, 3, 4)
FLAGS = (None, True, False)

pytestmark = [
    pytest.mark.filterwarnings("ignore:keep_rngs argument is deprecated"),
    pytest.mark.filterwarnings("ignore:carry_init is provided in __init__"),
]


class WithoutMerges(ast.NodeTransformer):
    """Takes the merges of some names out of a method."""

    def __init__(self, names):
        self.names, self.found = names, []

    def visit_Assign(self, node):
        """Leave of `x = first_from(x, ...)` the name, which is checked where it may be unset."""
        called = getattr(getattr(node.value, "func", None), "id", None)
        if called not in {"first_from", "merge_param"}:
            return node
        last = node.value.args[-1]
        name = last.id if called == "merge_param" else node.value.args[0].id
        if name not in self.names:
            return node
        self.found.append(name)
        (target,) = node.targets
        check = f"if {name} is None: raise ValueError({name!r})"
        return [*ast.parse(f"{target.id} = {name}").body, *ast.parse(check).body]

    def visit_If(self, node):
        """Take out `if x is None: x = self.x`, and a condition that is declared now."""
        self.generic_visit(node)
        condition = ast.unparse(node.test)
        if condition == "self.dropout_rate > 0.0":
            return node.body
        for name in self.names:
            if (
                condition == f"{name} is None"
                and ast.unparse(node.body) == f"{name} = self.{name}"
            ):
                self.found.append(name)
                return node.orelse or None
        return node


def declared(cls, method, params):
    """Return a subclass with the method as it is, but for the merges, which are declared."""
    (tree,) = ast.parse(inspect.getsource(cls)).body
    function = [item for item in tree.body if getattr(item, "name", None) == method][-1]
    transformer = WithoutMerges([param.name for param in params])
    tree.body, tree.bases = [transformer.visit(function)], [ast.Name("cls", ast.Load())]
    assert sorted(transformer.names) == sorted(transformer.found)
    source = f"from __future__ import annotations\n{ast.unparse(ast.fix_missing_locations(tree))}"
    namespace = {**vars(sys.modules[cls.__module__]), "cls": cls}
    exec(source, namespace)
    return mergeable(*params, method=method)(namespace[cls.__name__])


def outcome(run, *args):
    """Return the arrays of a call, or what it raises as the one key of a dict."""
    try:
        return jax.tree.leaves(run(*args))
    except (ValueError, TypeError) as error:
        return {"ValueError" if isinstance(error, ValueError) else "TypeError": 0}


def all_of(options):
    """Return every combination of options, each as a dict."""
    return [dict(zip(options, held, strict=True)) for held in itertools.product(*options.values())]


def use_call(name, **how):
    return Param(name, on_conflict="use_call", **how)


def has_dropout(layer):
    return layer.dropout_rate > 0.0


def test_linen_attention(inject):
    """`deterministic` is merged under `if self.dropout_rate > 0.0:`, and else is `True`."""
    flax = nn.MultiHeadDotProductAttention
    condition = {"when": has_dropout, "otherwise": True}
    merged = declared(flax, "__call__", [Param("deterministic", **condition)])
    seen = []
    variables = flax(num_heads=2).init(layers.KEYS, X)

    def call(cls, held, given):
        layer = cls(num_heads=2, **held)
        return layer.apply(variables, X, deterministic=given, rngs=layers.KEYS)

    for held in all_of({"dropout_rate": (0.0, 0.5), "deterministic": FLAGS}):
        for given in FLAGS:
            expected, actual = [outcome(call, cls, held, given) for cls in (flax, merged)]
            assert layers.are_same(expected, actual)
            seen.append((held["dropout_rate"], isinstance(expected, dict)))
        needed = held["dropout_rate"] > 0 and held["deterministic"] is None
        assert (("deterministic",) if needed else ()) == unset_params(merged(num_heads=2, **held))
    # With dropout, neither and each of four boths are errors; without it nothing is.
    assert 5 == seen.count((0.5, True))
    assert 9 == seen.count((0.0, False))


MAY_STAY = use_call("rngs", default=None)
RNGS = (lambda: None, lambda: nnx.Rngs(7), lambda: nnx.Rngs(7).carry, lambda: nnx.Rngs(7).dropout)
"""What makes what may be given for `rngs`, anew for each call, because calls use it up."""

CELLS = ("LSTMCell", "OptimizedLSTMCell", "SimpleCell", "GRUCell")


def make_dropout(cls, rngs, **held):
    return cls(rngs=rngs(), **held)


def make_attention(cls, **held):
    sizes = {"num_heads": 2, "in_features": 4, "qkv_features": 4}
    return cls(**sizes, **held, rngs=nnx.Rngs(0))


def make_cell(cls, **held):
    return cls(4, 5, carry_init=nnx.initializers.normal(), **held, rngs=nnx.Rngs(0))


def make_rnn(cls, **held):
    return cls(make_cell(nnx.GRUCell), **held)


def make_bidirectional(cls, **held):
    return cls(*[make_rnn(nnx.RNN, rngs=False) for _ in range(2)], **held)


MODES = {"time_major": (None, True)}
HELD_RNGS = {"rngs": (True, False)}
MERGES = {
    "Dropout": (
        "__call__",
        [
            use_call("deterministic"),
            use_call("rngs", when=lambda layer: 0 < layer.rate < 1, otherwise=None, default=None),
        ],
        make_dropout,
        {"rate": (0.0, 0.5, 1.0), "deterministic": FLAGS, "rngs": RNGS[:2]},
        {"deterministic": FLAGS, "rngs": RNGS},
    ),
    "MultiHeadAttention": (
        "__call__",
        [
            MAY_STAY,
            use_call("decode"),
            use_call("deterministic", when=has_dropout, otherwise=True),
        ],
        make_attention,
        {
            "dropout_rate": (0.0, 0.5),
            "deterministic": FLAGS,
            "keep_rngs": (True, False),
            "decode": (False,),
        },
        {"deterministic": FLAGS, "rngs": RNGS[:3]},
    ),
    **dict.fromkeys(
        CELLS,
        (
            "initialize_carry",
            [use_call("rngs")],
            make_cell,
            {"keep_rngs": (True, False)},
            {"rngs": RNGS},
        ),
    ),
    "RNN": (
        "__call__",
        [MAY_STAY, *map(use_call, MODES)],
        make_rnn,
        HELD_RNGS,
        {"rngs": RNGS[:2], **MODES},
    ),
    "Bidirectional": (
        "__call__",
        [MAY_STAY, *map(use_call, MODES)],
        make_bidirectional,
        HELD_RNGS,
        {"rngs": RNGS[:2]},
    ),
}


def test_these_are_all():
    """Every class of NNX that merges `rngs` by hand is among them."""
    merging = {
        name
        for name, cls in vars(nnx).items()
        if inspect.isclass(cls)
        and cls.__module__.startswith("flax.nnx.nn.")
        and any(
            text in inspect.getsource(cls)
            for text in ("    if rngs is None:\n      rngs = self.rngs", "rngs = first_from(")
        )
    }

    assert set(MERGES) == merging


@pytest.mark.parametrize("name", MERGES)
def test_nnx(inject, name):
    """Every merge of `rngs` in NNX, and those that stand beside it."""
    method, params, make, held_options, given_options = MERGES[name]
    flax = getattr(nnx, name)
    merged = declared(flax, method, params)
    first = (2, 4) if method == "initialize_carry" else X
    raised = []

    def call(cls, held, given):
        arguments = given | {"rngs": given["rngs"]()}
        return getattr(make(cls, **held), method)(first, **arguments)

    for held, given in itertools.product(all_of(held_options), all_of(given_options)):
        expected, actual = [outcome(call, cls, held, given) for cls in (flax, merged)]
        assert layers.are_same(expected, actual), (held, given)
        raised.append(isinstance(expected, dict))

    assert True in raised
    assert False in raised
