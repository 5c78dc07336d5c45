"""SQL files with values put in as literals, and in no other way.

A statement is a file of ``include/sql`` with ``{{ name }}`` where a value belongs. What is
between the braces is written as a SQL literal of its Python type, so a value can never end its literal
and become SQL: there is no filter to forget.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import jinja2
import jinja2.meta
import jinja2.nodes

from medlaunch.settings import settings

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
# A backslash means itself to Trino and escapes the next character to Hive, which reads the DDL.
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")


class SqlValueError(ValueError):
    """A value that must not be put into a statement."""


class Identifier(str):
    """The name of a database, table or column: lower-case letters, digits and underscores."""

    __slots__ = ()

    def __new__(cls, name: str) -> Identifier:
        if not _IDENTIFIER.fullmatch(name):
            raise SqlValueError(f"{name!r} is no name that is safe in SQL: use a-z, 0-9 and _")
        return super().__new__(cls, name)


def literal(value: Any) -> str:
    """A Python value as SQL: text, whole numbers, and lists and tuples of them. ``DATE {{ day }}`` makes a date of text.

    A list becomes ``a, b, c`` (for ``IN (...)`` and ``VALUES``), a tuple a row ``(a, b)``.

    Raises:
        SqlValueError: for any other type, an empty list, or text with control characters or backslashes.
    """
    if isinstance(value, jinja2.Undefined):
        return str(value)  # raises, naming the value that is missing
    if isinstance(value, Identifier):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        if found := _CONTROL.search(value):
            raise SqlValueError(f"Text for SQL holds the character {found[0]!r}: {value[:80]!r}")
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, list):
        if not value:
            raise SqlValueError("An empty list has no SQL literal; a statement over nothing should not run")
        return ", ".join(literal(item) for item in value)
    if isinstance(value, tuple):
        return f"({', '.join(literal(item) for item in value)})"
    raise SqlValueError(f"{type(value).__name__} has no SQL literal here: {value!r}")


@lru_cache(maxsize=4)
def _environment(folder: Path) -> jinja2.Environment:
    def columns_of(file: str) -> list[Identifier]:
        """The names of the columns of a file ``<dag_id>/columns/<name>.columns``, one a line, in their order."""
        lines = (folder / file).read_text(encoding="utf-8").splitlines()
        return [Identifier(line.split(" ", 1)[0]) for line in lines]

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        finalize=literal,
        autoescape=False,  # noqa: S701  # SQL, not HTML: finalize writes every value as a literal
        keep_trailing_newline=False,
    )
    environment.globals |= {"columns_of": columns_of, "name": Identifier}
    return environment


def render(statement: str, values: Mapping[str, Any]) -> str:
    """The text of ``include/sql/<statement>`` with its values as literals.

    Raises:
        SqlValueError: for a value that must not be put into SQL.
        jinja2.UndefinedError: naming a value that the statement needs and that was not given.
    """
    template = _environment(settings().include_dir / "sql").get_template(statement)
    return template.render(values).strip()


def values_of(statement: str) -> set[str]:
    """The names of the values that a statement needs, with those of the files that it includes."""
    environment = _environment(settings().include_dir / "sql")
    assert environment.loader is not None
    loader = environment.loader

    def needed(file: str, given: set[str]) -> set[str]:
        tree = environment.parse(loader.get_source(environment, file)[0])
        assigned = {
            name.name
            for one in tree.find_all(jinja2.nodes.Assign)
            for name in one.find_all(jinja2.nodes.Name)
            if name.ctx == "store"
        }
        found = jinja2.meta.find_undeclared_variables(tree) - given - assigned
        for included in jinja2.meta.find_referenced_templates(tree):
            found |= needed(included or "", given | assigned)
        return found

    return needed(statement, set(environment.globals))


def statements(folder: str) -> Sequence[str]:
    """The statements of a folder of ``include/sql``, as names for :func:`render`, sorted."""
    root = settings().include_dir / "sql"
    return sorted(path.relative_to(root).as_posix() for path in (root / folder).glob("*.sql"))


def stages(folders: Sequence[str]) -> list[list[str]]:
    """The statements of folders, in an order in which each comes after those of the same folders that it reads.

    A list of stages; the statements of a stage do not read each other. A statement is named after what it makes.
    """
    root = settings().include_dir / "sql"
    made = {PurePosixPath(name).stem: name for folder in folders for name in statements(folder)}
    reads = {
        name: {made[table] for table in _READS.findall(_reading(root / name)) if table in made} - {name}
        for name in made.values()
    }
    ordered: list[list[str]] = []
    while reads:
        ready = sorted(name for name, others in reads.items() if not others & reads.keys())
        if not ready:
            raise ValueError(f"These statements read each other: {', '.join(sorted(reads))}")
        ordered.append(ready)
        for name in ready:
            del reads[name]
    return ordered


_READS = re.compile(r'\b(?:FROM|JOIN)\s+"?(\w+)', re.IGNORECASE)


def _reading(path: Path) -> str:
    """The text of a statement without comments and literals."""
    return re.sub(r"--[^\n]*|'[^']*'", "", path.read_text(encoding="utf-8"))
