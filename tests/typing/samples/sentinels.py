"""`UNSET` narrows a union with `is`; `MERGED` fits every annotation."""

from typing import reveal_type

from mergeparam import MERGED, UNSET, UnsetType

number: int = MERGED
text: str = MERGED
reveal_type(MERGED)  # revealed: Any

unset: UnsetType = UNSET
refused: None = UNSET  # error
same: UnsetType = UnsetType.UNSET
name: str = UNSET.name


def narrow(mask: int | UnsetType | None) -> None:
    if mask is UNSET:
        reveal_type(mask)  # revealed: UnsetType  # revealed[mypy, pyright]: Literal[UNSET]
    else:
        reveal_type(mask)  # revealed: int | None
    if mask is not UNSET:
        reveal_type(mask)  # revealed: int | None
    if mask is UNSET or mask is None:
        return
    reveal_type(mask)  # revealed: int
    mask.bit_length()


def need_narrowing(mask: int | UnsetType) -> int:
    mask.bit_length()  # error
    return 0 if mask is UNSET else mask
