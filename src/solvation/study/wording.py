"""What pydantic found wrong, in words of a study file instead of Python's."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_MAPPING = "must be a mapping of keys to values"
_LIST = "must be a list, e.g. [a, b]"
_INTEGER = "must be a whole number"
#: By the type of the error; what is not here is told in pydantic's words.
_WORDS = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": _MAPPING,
    "finite_number": "must be a finite number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "int_from_float": _INTEGER,
    "int_parsing": _INTEGER,
    "int_type": _INTEGER,
    "invalid_key": "a key must be text; put it into quotes",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "list_type": _LIST,
    "literal_error": "must be {expected}",
    "model_type": _MAPPING,
    "path_type": "must be the name of a file",
    "string_too_short": "must not be empty",
    "string_type": "must be text; put it into quotes",
    "too_long": "takes {max_length} or fewer entries",
    "too_short": "needs {min_length} or more entries",
    "tuple_type": _LIST,
}


def in_words(error: ErrorDetails) -> str:
    """What is wrong with one value, and the value where the words do not hold it."""
    kind, given = error["type"], error["input"]
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, ")
    if kind == "missing":
        return "is required"
    if kind == "string_pattern_mismatch":
        return f"'{given}' is not a name (letters, digits and _ . + -, at most 64)"
    told = error["msg"]
    if kind in _WORDS:
        limits = {
            key: int(item) if isinstance(item, float) and item.is_integer() else item
            for key, item in error.get("ctx", {}).items()
        }
        told = _WORDS[kind].format(**limits)
    return f"{told} (given: {beginning(given)})"


def beginning(given: Any) -> str:
    """Aliases of YAML can make a small text a very large value: only its beginning is put into words."""
    if given is None:
        return "nothing"
    if isinstance(given, dict | list | tuple):
        return reprlib.repr(given)[:60]
    return repr(str(given)[:60])
