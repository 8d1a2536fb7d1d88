"""`merge_param` returns the type of its arguments without the sentinel."""

import enum
from typing import reveal_type

from mergeparam import UNSET, UnsetType, merge_param


class Absent(enum.Enum):
    ABSENT = "ABSENT"


class Array:
    pass


class Dropout:
    deterministic: bool | None = None
    mask: Array | UnsetType | None = UNSET

    def __call__(
        self, deterministic: bool | None = None, mask: Array | UnsetType | None = UNSET
    ) -> None:
        merged = merge_param("deterministic", self.deterministic, deterministic)
        reveal_type(merged)  # revealed: bool
        merged_mask = merge_param("mask", self.mask, mask, unset=UNSET)
        reveal_type(merged_mask)  # revealed: Array | None


def optional(a: bool | None, c: bool | None, number: int | None, set_already: bool) -> None:
    reveal_type(merge_param("x", a, c))  # revealed: bool
    reveal_type(merge_param("x", a, c, unset=None))  # revealed: bool
    reveal_type(merge_param("x", a, None))  # revealed: bool
    reveal_type(merge_param("x", None, c))  # revealed: bool
    reveal_type(merge_param("x", a, set_already))  # revealed: bool
    reveal_type(merge_param(name="x", attribute_value=a, call_value=c))  # revealed: bool
    reveal_type(merge_param("x", number, number))  # revealed: int
    merge_param("x", a)  # error
    merge_param(1, a, c)  # error
    merge_param("x", a, c, None)  # error


def as_annotated(a: bool | None, c: bool | None) -> bool:
    return merge_param("x", a, c)


def refused(a: bool | None, c: bool | None) -> str:
    return merge_param("x", a, c)  # error


def containers(a: list[int] | None, c: list[int] | None) -> None:
    reveal_type(merge_param("x", a, c))  # revealed: list[int]


def with_unset(
    a: bool | UnsetType | None, c: bool | UnsetType | None, d: bool | UnsetType
) -> None:
    reveal_type(merge_param("x", a, c, unset=UNSET))  # revealed: bool | None
    reveal_type(merge_param("x", d, d, unset=UNSET))  # revealed: bool
    reveal_type(merge_param("x", d, UNSET, unset=UNSET))  # revealed: bool


def with_own_sentinel(a: bool | Absent | None, c: bool | Absent | None) -> None:
    merged = merge_param("x", a, c, unset=Absent.ABSENT)
    reveal_type(merged)  # revealed: bool | None  # revealed[pyright]: bool | Absent | None


def with_any_object(a: Array | None, c: Array | None, nothing: object) -> None:
    reveal_type(merge_param("x", a, c, unset=nothing))  # revealed: Array | None
