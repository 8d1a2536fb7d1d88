"""The errors, their base classes and their fields."""

from typing import reveal_type

from mergeparam import (
    ConflictingParamError,
    MergeDefinitionError,
    MergeError,
    MergeWarning,
    MissingParamError,
    errors,
    merge_param,
)

error = MissingParamError("said", owner="Dropout", method="__call__", param="deterministic")
reveal_type(error)  # revealed: MissingParamError
reveal_type(error.owner)  # revealed: str | None
reveal_type(error.method)  # revealed: str | None
reveal_type(error.param)  # revealed: str | None
reveal_type(error.attribute_value)  # revealed: object
reveal_type(error.call_value)  # revealed: object
error.given  # error
MergeError()  # error
MergeError("said", "Dropout")  # error
MergeError("said", owner=1)  # error

both: list[type[MergeError]] = [MissingParamError, ConflictingParamError]
as_value_error: ValueError = ConflictingParamError("said")
as_type_error: TypeError = MergeDefinitionError("said")
as_warning: UserWarning = MergeWarning("said")
refused: TypeError = ConflictingParamError("said")  # error
reveal_type(errors.MergeError("said"))  # revealed: MergeError

try:
    merge_param("deterministic", None, True)
except (MissingParamError, ConflictingParamError) as caught:
    reveal_type(caught)  # revealed: MissingParamError | ConflictingParamError
    reveal_type(caught.param)  # revealed: str | None
