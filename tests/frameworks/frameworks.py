"""One small layer in each framework, written as that framework's users write theirs."""

import dataclasses
import io
import os
from functools import partial
from typing import Any

import numpy as np
import pytest

from mergeparam import MERGED

X = np.array([[1.0, -2.0]], "float32")


def same(target):
    return target


class Plain:
    """No framework at all; the others differ from it where they have to."""

    name, method, base = "plain", "__call__", object
    paths = "[{}]"
    """Where `model` holds its parts."""

    copies: dict = {}  # noqa: RUF012 - frameworks only read it
    """What the framework has to copy a layer, beside `copy` and `pickle`."""

    decorators: dict = {}  # noqa: RUF012 - frameworks only read it
    """What the framework has to put on a method inside the class."""

    def layer(self, default=MERGED, unset=None, decorate=same):
        """Return a class that gives its input back if its flag is set, and else negates it."""

        class Layer(self.base):
            def __init__(self, flag=unset):
                super().__init__()
                self.flag = flag

            @decorate
            def __call__(self, x, flag=default):
                return x if flag else -x

        return Layer

    def twice(self, base):
        """Return a subclass that hands its flag on to `super()`, and doubles the result."""

        class Layer(base):
            def __call__(self, x, flag=MERGED):
                return 2 * super().__call__(x, flag=flag)

        return Layer

    def model(self, parts):
        """Return an object that holds layers."""
        return parts

    def here(self, function):
        """Call a function where layers can be made."""
        return function()

    def call(self, make, *args, **kwargs):
        """Return what a layer makes of `X`, as a list."""
        return np.asarray(self.here(lambda: make()(X, *args, **kwargs))).tolist()


class Fields(Plain):
    """What makes its layers from annotations, like a dataclass."""

    paths = ".parts[{}]"

    def field(self, default):
        """Return what declares the flag."""
        return default

    def layer(self, default=MERGED, unset=None, decorate=same):
        class Layer(self.base):
            flag: Any = self.field(unset)

            @decorate
            def __call__(self, x, flag=default):
                return x if flag else -x

        return Layer

    def model(self, parts):
        class Model(self.base):
            parts: tuple

        return Model(parts=tuple(parts))


class Linen(Fields):
    """Flax Linen, whose layers are called through `apply`."""

    name = "linen"

    def __init__(self):
        self.nn = nn = pytest.importorskip("flax.linen", reason="flax is not installed")
        self.base = nn.Module
        self.copies = {
            "clone": lambda layer: layer.clone(),
            "copy of its own": lambda layer: layer.copy(),
            "replace": dataclasses.replace,
            "unbind": lambda layer: layer.bind({}).unbind()[0],
        }
        self.decorators = {"compact": nn.compact}

    def call(self, make, *args, **kwargs):
        return np.asarray(make().apply({}, X, *args, **kwargs)).tolist()


class NNX(Plain):
    """Flax NNX."""

    name, paths = "nnx", ".parts[{}]"

    def __init__(self):
        self.nnx = nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
        self.base = nnx.Module
        self.copies = {
            "clone": nnx.clone,
            "split and merge": lambda layer: nnx.merge(*nnx.split(layer)),
        }
        self.decorators = {
            "jit": partial(nnx.jit, static_argnames="flag"),
            "remat": partial(nnx.remat, static_argnums=2),
            "vmap": partial(nnx.vmap, in_axes=(None, 0, None)),
        }

    def model(self, parts):
        class Model(self.nnx.Module):
            def __init__(self, nnx):
                self.linear = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
                self.parts = nnx.List(parts)

        return Model(self.nnx)


class Equinox(Fields):
    """Equinox, whose layers are frozen pytrees."""

    name = "equinox"

    def __init__(self):
        self.eqx = eqx = pytest.importorskip("equinox", reason="equinox is not installed")
        self.base = eqx.Module
        jax = pytest.importorskip("jax")
        self.copies = {
            "jit": jax.jit(same),
            "filter_jit": eqx.filter_jit(same),
            "partition": lambda layer: eqx.combine(*eqx.partition(layer, eqx.is_array)),
        }
        self.decorators = {
            "filter_jit": eqx.filter_jit,
            "filter_checkpoint": eqx.filter_checkpoint,
            "jit": partial(jax.jit, static_argnames="flag"),
            "named_scope": jax.named_scope("layer"),
        }

    def field(self, default):
        return self.eqx.field(default=default, static=True)


class Haiku(Plain):
    """Haiku, whose modules live inside of transformed functions."""

    name, paths = "haiku", ".parts[{}]"

    def __init__(self):
        self.hk = pytest.importorskip("haiku", reason="dm-haiku is not installed")
        self.base = self.hk.Module

    def model(self, parts):
        class Model(self.hk.Module):
            def __init__(self):
                super().__init__()
                self.parts = parts

        return Model()

    def here(self, function):
        results = []
        self.hk.testing.transform_and_run(lambda: results.append(function()))()
        return results[-1]


class Torch(Plain):
    """PyTorch, which calls `forward` from `Module.__call__`."""

    name, method, paths = "torch", "forward", ".parts[{}]"

    def __init__(self):
        self.torch = torch = pytest.importorskip("torch", reason="torch is not installed")

        def save(layer):
            file = io.BytesIO()
            torch.save(layer, file)
            file.seek(0)
            return torch.load(file, weights_only=False)

        self.copies = {
            "save and load": save,
            "replicate": lambda layer: layer._replicate_for_data_parallel(),
        }

    def layer(self, default=MERGED, unset=None, decorate=same):
        class Layer(self.torch.nn.Module):
            def __init__(self, flag=unset):
                super().__init__()
                self.flag = flag

            @decorate
            def forward(self, x, flag=default):
                return x if flag else -x

        return Layer

    def twice(self, base):
        class Layer(base):
            def forward(self, x, flag=MERGED):
                return 2 * super().forward(x, flag=flag)

        return Layer

    def model(self, parts):
        model = self.torch.nn.Module()
        model.parts = self.torch.nn.Sequential(*parts)
        return model


class Keras(Plain):
    """Keras, which calls `call` from `Layer.__call__`, and wraps the errors that come out."""

    name, method, paths = "keras", "call", "._layers[{}]"

    def __init__(self):
        os.environ.setdefault("KERAS_BACKEND", "jax")
        pytest.importorskip("jax", reason="jax, the backend, is not installed")
        self.keras = pytest.importorskip("keras", reason="Keras is not installed")
        self.copies = {"config": lambda layer: type(layer).from_config(layer.get_config())}

    def layer(self, default=MERGED, unset=None, decorate=same):
        class Layer(self.keras.layers.Layer):
            def __init__(self, flag=unset, **options):
                super().__init__(**options)
                self.flag = flag

            @decorate
            def call(self, x, flag=default):
                return x if flag else -x

        return Layer

    def twice(self, base):
        class Layer(base):
            def call(self, x, flag=MERGED):
                return 2 * super().call(x, flag=flag)

        return Layer

    def model(self, parts):
        return self.keras.Sequential(parts)


class Pydantic(Fields):
    """pydantic, whose models are made by name."""

    name = "pydantic"

    def __init__(self):
        self.pydantic = pytest.importorskip("pydantic", reason="pydantic is not installed")
        self.base = self.pydantic.BaseModel
        self.copies = {
            "model_copy": lambda model: model.model_copy(deep=True),
            "model_validate": lambda model: type(model).model_validate(model.model_dump()),
            "model_construct": lambda model: model.model_construct(**model.model_dump()),
            "update": lambda model: type(model)().model_copy(update=model.model_dump()),
        }


class Sklearn(Plain):
    """scikit-learn, which puts a wrapper of its own around `transform`."""

    name, method, paths = "sklearn", "transform", ".steps[{}][1]"

    def __init__(self):
        pytest.importorskip("sklearn", reason="scikit-learn is not installed")
        from sklearn import base, pipeline

        self.base, self.pipeline = base, pipeline
        self.copies = {"clone": base.clone}

    def layer(self, default=MERGED, unset=None, decorate=same):
        base = self.base

        class Layer(base.OneToOneFeatureMixin, base.TransformerMixin, base.BaseEstimator):
            def __init__(self, flag=unset):
                self.flag = flag

            @decorate
            def transform(self, x, flag=default):
                return x if flag else -x

        return Layer

    def twice(self, base):
        class Layer(base):
            def transform(self, x, flag=MERGED):
                return 2 * super().transform(x, flag=flag)

        return Layer

    def model(self, parts):
        return self.pipeline.make_pipeline(*parts)

    def call(self, make, *args, **kwargs):
        return make().transform(X, *args, **kwargs).tolist()


ALL = (Plain, Linen, NNX, Equinox, Haiku, Torch, Keras, Pydantic, Sklearn)
