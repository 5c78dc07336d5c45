"""The modules of the Athena in layers: each imports those below it, and nothing imports in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import local_aws

SOURCE = Path(local_aws.__file__).parent
# From the bottom. A module may import those of its own layer, as long as there is no circle.
LAYERS = [
    ["errors", "types", "udf", "macros", "reserved", "sharing"],
    ["parser", "statements", "hive_parser", "expressions", "zones", "tables", "engine", "formats", "files", "grok", "ion"],
    ["plan"],
    ["functions", "jsonpath"],
    ["catalog", "iceberg.table", "iceberg.scan", "iceberg.inspect", "partitions", "buckets", "serdes", "json_keys", "parquet"],
    ["operators", "pruning", "relations", "select", "scan"],
    ["syntax", "prepared", "assignment", "results", "show_create", "view_format"],
    ["context"],
    ["iceberg.changes", "iceberg.write", "iceberg.maintenance", "iceberg.ddl", "describe", "ddl", "write"],
    ["insert", "create_as", "views"],
    ["run"],
    ["executions"],
    ["api"],
]  # fmt: skip
ATHENA = "local_aws.athena."


def module(file: Path) -> str:
    parts = file.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


MODULES = {module(file): file for file in SOURCE.rglob("*.py")}


def imported(file: Path, modules: frozenset[str] = frozenset(MODULES)) -> Iterator[tuple[str, int]]:
    """The package's modules that a file imports, also in functions and for types alone, with their lines."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((a.name, node.lineno) for a in node.names if a.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for a in node.names:
                name = f"{node.module}.{a.name}"
                if (found := name if name in modules else node.module) in modules:
                    yield found, node.lineno


def layer(name: str) -> int | None:
    """The number of a module's layer; a package is in one with all of its modules."""
    short = name.removeprefix(ATHENA)
    return next(
        (i for i, names in enumerate(LAYERS) if any(short == n or short.startswith(f"{n}.") for n in names)),
        None,
    )


def test_every_module_of_athena_is_in_a_layer() -> None:
    packages = {"local_aws.athena", "local_aws.athena.iceberg"}
    homeless = [
        n for n in MODULES if n.startswith("local_aws.athena") and n not in packages and layer(n) is None
    ]
    assert homeless == []
    named = [f"{ATHENA}{n}" for names in LAYERS for n in names]
    assert [n for n in named if n not in MODULES] == []


@pytest.mark.parametrize("name", [n for n in MODULES if layer(n) is not None])
def test_a_module_imports_from_its_own_layer_and_below(name: str) -> None:
    own = layer(name)
    assert own is not None
    wrong = [
        f"{MODULES[name].relative_to(SOURCE)}:{line} imports {found}"
        for found, line in imported(MODULES[name])
        if (theirs := layer(found)) is not None and theirs > own
    ]
    assert wrong == []


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Each group of nodes that can reach one another, and each that reaches itself."""
    reach = {n: set(ns) for n, ns in graph.items()}
    changed = True
    while changed:
        changed = False
        for found in reach.values():
            more = set().union(*(reach[n] for n in found)) - found if found else set()
            found |= more
            changed = changed or bool(more)
    return sorted({tuple(sorted(m for m in reach[n] if n in reach[m])) for n in reach if n in reach[n]})  # type: ignore[misc]


def test_nothing_imports_in_a_circle() -> None:
    assert circles({n: {found for found, _ in imported(f)} - {n} for n, f in MODULES.items()}) == []


def test_circles_are_found(tmp_path: Path) -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == [("b", "c")]
    file = tmp_path / "x.py"
    file.write_text(
        "if TYPE_CHECKING:\n    from p.a import b\ndef f():\n    from p import c, d\n    import p.e\n"
    )
    names = frozenset({"p.a", "p.c", "p.e"})
    assert list(imported(file, names)) == [("p.a", 2), ("p.c", 4), ("p.e", 5)]


# Modules may be as long as this, unless their docstring has a reason.
LONGEST = 700
LONGER = {"local_aws.iam"}


def test_no_module_is_too_long() -> None:
    lengths = {n: len(f.read_text(encoding="utf-8").splitlines()) for n, f in MODULES.items()}
    assert {n for n, length in lengths.items() if length > LONGEST} - LONGER == set()
