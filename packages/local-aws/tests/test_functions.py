"""The tables of functions: that each entry can be compiled, and that names are where a message looks for them."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import local_aws.athena.functions as fn
from local_aws.athena.expressions import E
from local_aws.athena.functions.aggregates import AGGREGATES
from local_aws.athena.functions.lambdas import HIGHER_ORDER
from local_aws.athena.functions.missing import MISSING
from local_aws.athena.functions.registry import Call, Overload, Special, merged

OVERLOADS = [(n, o) for n, f in fn.SCALARS.items() if isinstance(f, list) for o in f]


@pytest.mark.parametrize(("name", "overload"), OVERLOADS, ids=[n for n, _ in OVERLOADS])
def test_an_overload_uses_what_it_takes(name: str, overload: Overload) -> None:
    if isinstance(overload.sql, str):
        return
    arguments = [f"«{i}»" for i in range(len(overload.parameters))]
    sql = overload.sql(*arguments)
    assert all(a in sql for a in arguments)
    # A brace too many or too few of an f-string.
    assert "{{" not in sql
    assert sql.count("(") == sql.count(")") or name.startswith(("url_", "from_iso8601"))


def test_a_special_function_is_named_once_and_takes_what_its_parameters_say() -> None:
    def one(c: Call, a: E, b: E | None = None) -> E:
        return a

    def many(c: Call, a: E, *more: E) -> E:
        return a

    assert [Special(one).takes(n) for n in range(4)] == [False, True, True, False]
    assert [Special(many).takes(n) for n in range(4)] == [False, True, True, True]
    for name, function in fn.SCALARS.items():
        if isinstance(function, Special):
            assert next(iter(inspect.signature(function.compile).parameters)) == "c", name


def test_a_name_is_in_one_table() -> None:
    with pytest.raises(AssertionError, match="several tables"):
        merged({"a": 1}, {"a": 2})
    tables = [
        fn.SCALARS.keys(),
        AGGREGATES.keys(),
        HIGHER_ORDER.keys() - {"array_sort", "regexp_replace"},
        MISSING,
    ]
    assert len(set().union(*tables)) == sum(map(len, tables))


def test_modules_are_short() -> None:
    for path in Path(inspect.getfile(fn)).parent.glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 700, path
