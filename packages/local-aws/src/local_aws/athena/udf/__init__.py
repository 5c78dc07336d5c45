"""Functions that DuckDB has not, in Python. The generated SQL calls them by their names here; a session
registers those that a query names when it runs it (see engine.Engine).

A function gets the values of one row and gives one; it is not called for a row with a NULL among them.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Around the code and the text of a Trino error in an exception's message (see expressions.raise_sql).
MARK = "\x01"
# Each registers its functions when it is imported. Those with libraries of their own only if the first word of a name
# says so.
_FAMILIES = ("binary", "numbers", "regexp", "sketches", "strings", "url")
_OTHERS = {"geo": ("geospatial", "shapes", "sphere"), "ip": ("ip",), "tile": ("tiles",)}


@dataclass(frozen=True)
class Udf:
    function: Callable[..., Any]
    parameters: list[Any]
    result: str

    def strict(self) -> Callable[..., Any]:
        """The function, NULL where any of its arguments is."""

        @functools.wraps(self.function)
        def call(*values: Any) -> Any:
            return None if any(v is None for v in values) else self.function(*values)

        return call


UDFS: dict[str, Udf] = {}
_NAMES = re.compile(r"\bpy_\w+(?=\()")


def udf(parameters: str, result: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(f: Callable[..., Any]) -> Callable[..., Any]:
        UDFS["py_" + f.__name__.strip("_")] = Udf(f, parameters.split(), result)
        return f

    return register


def called(sql: str) -> dict[str, Udf]:
    """The functions that DuckDB SQL calls."""
    names = set(_NAMES.findall(sql))
    late = {f for name in names for f in _OTHERS.get(name.split("_")[1], ())}
    for family in (*_FAMILIES, *late):
        importlib.import_module(f"{__name__}.{family}")
    return {name: UDFS[name] for name in names & UDFS.keys()}


def fail(code: str, message: str) -> Exception:
    return ValueError(f"{MARK}{code}{MARK}{message}{MARK}")
