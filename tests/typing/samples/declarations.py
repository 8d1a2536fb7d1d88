"""The arguments that `mergeable` and `Param` accept and refuse."""

from typing import Literal, reveal_type

import attrs

from mergeparam import MERGED, UNSET, Param, mergeable


class Layer:
    training: bool | None = None

    def __call__(self, *, training: bool = MERGED) -> bool:
        return training


def choose(layer: Layer) -> bool | None:
    return layer.training


reveal_type(mergeable(Layer)())  # revealed: Layer
reveal_type(mergeable()(Layer)())  # revealed: Layer
reveal_type(mergeable("training")(Layer)())  # revealed: Layer
as_class: type[Layer] = mergeable("training")(Layer)
mergeable("training", Param("mode"))(Layer)
mergeable("training", 1)  # error
mergeable(Layer, "training")  # error
mergeable("training")(Layer())  # error
mergeable("training")(choose)  # error
mergeable(choose)  # error

mergeable("training", method="apply")
mergeable("training", method=("apply", "__call__"))
mergeable("training", method=["apply"])
mergeable("training", method={"apply"})
mergeable("training", method=1)  # error
mergeable("training", method=("apply", 1))  # error
mergeable("training", method=choose)  # error

mergeable("training", inject="auto")
mergeable("training", inject="inline")
mergeable("training", inject="wrap")
mergeable("training", inject="spliced")  # error
mergeable("training", inject=True)  # error
mergeable("training", into="inline")  # error

mergeable("training", "mode", unset=UNSET, on_conflict="use_call", default=True)
mergeable("training", attribute="_training", default=None)
mergeable(on_conflict="use_attribute")(Layer)
mergeable("training", default=attrs.Factory(choose, takes_self=True))
mergeable("training", on_conflict="use_both")  # error
mergeable("training", attribute=1)  # error
mergeable("training", when=choose)  # error
mergeable("training", attribute_unset=None)  # error
mergeable(Layer, on_conflict="use_call")  # error

param = Param("training", attribute="wrapped._training", unset=UNSET, on_conflict="use_call")
reveal_type(param)  # revealed: Param
reveal_type(param.name)  # revealed: str
reveal_type(param.attribute)  # revealed: str
reveal_type(param.unset)  # revealed: object
policy: Literal["raise", "raise_if_different", "use_call", "use_attribute"] = param.on_conflict
reveal_type(param.default)  # revealed: Any
reveal_type(param == Param("mode"))  # revealed: bool
reveal_type(hash(param))  # revealed: int
reveal_type(attrs.evolve(param, name="mode"))  # revealed: Param
Param("training", attribute=None)
Param("training", on_conflict="raise")
Param("training", on_conflict="raise_if_different")
Param("training", on_conflict="use_attribute")
Param("training", default=True)
Param("training", default=attrs.Factory(choose, takes_self=True))
Param("training", default=attrs.Factory(bool))
Param("training", unset=UNSET, attribute_unset=None, default=None)
Param("training", when=choose, otherwise=True)
Param("training", when=lambda layer: layer.rate > 0, otherwise=attrs.Factory(list))
reveal_type(param.attribute_unset)  # revealed: object
reveal_type(param.otherwise)  # revealed: Any
Param("training", when=True, otherwise=True)  # error
Param("training", when=lambda: True, otherwise=True)  # error
Param()  # error
Param(1)  # error
Param("training", "_training")  # error
Param("training", attribute=1)  # error
Param("training", on_conflict="use_both")  # error
Param("training", on_conflict=None)  # error
Param("training", fallback=True)  # error
param.name = "mode"  # error
ordered = param < Param("mode")  # error
