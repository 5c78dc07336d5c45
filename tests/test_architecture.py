"""Who may import whom: dags -> medlaunch -> nothing of ours; domains pure; local_aws apart."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {
    *(
        "medlaunch",
        "local_aws",
        "sample_data",
        "laptop",
        "dashboard",
        "infra",
        "deploy",
        "benchmarks",
        "tests",
    )
}
PURE = ("accreditation", "staffing", "clinical")

# Folder -> what of ours it may import.
ALLOWED = {
    "dags": {"medlaunch"},
    "plugins/medlaunch": {"medlaunch"},
    "packages/local-aws/src": {"local_aws"},
    "packages/local-aws/tests": {"local_aws"},
    "infra": {"infra", "medlaunch"},
    "sample_data": {"sample_data"},
    "laptop": {"laptop", "medlaunch", "local_aws", "sample_data"},
    "dashboard": {"dashboard"},
    "deploy": {"deploy", "medlaunch"},
    "examples": set(),
    "benchmarks": {"benchmarks", "medlaunch", "local_aws", "sample_data", "laptop", "tests"},
}


def imports(file: Path) -> Iterator[tuple[str, int]]:
    """The modules that a file imports, at any depth, with their lines."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def arrows_that_must_not_be(folder: str, allowed: set[str]) -> list[str]:
    return [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in sorted((ROOT / folder).rglob("*.py"))
        for module, line in imports(file)
        if (top := module.split(".")[0]) in OURS and top not in allowed
    ]


@pytest.mark.parametrize("folder", ALLOWED)
def test_a_folder_imports_only_what_it_may(folder: str) -> None:
    assert any((ROOT / folder).rglob("*.py")), f"{folder} has no Python files"
    assert arrows_that_must_not_be(folder, ALLOWED[folder]) == []


def test_domain_code_knows_neither_airflow_nor_aws() -> None:
    """A domain knows the contract of loaders and the readers of formats, and no other domain."""
    shared = ("medlaunch.declaration", "medlaunch.formats")
    allowed: dict[str, tuple[str, ...]] = {"formats": ("medlaunch.formats",)}
    allowed |= {domain: (*shared, f"medlaunch.{domain}") for domain in PURE}
    pure = [
        (file, packages)
        for folder, packages in allowed.items()
        for file in (ROOT / "plugins/medlaunch" / folder).rglob("*.py")
        if file.name != "__main__.py"  # the command line opens S3 objects
    ]
    pure.append((ROOT / "plugins/medlaunch/declaration.py", ()))
    assert len(pure) > 8
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file, packages in pure
        for module, line in imports(file)
        if module.split(".")[0] in {"airflow", "boto3", "botocore"}
        or (
            module.startswith("medlaunch.")
            and not any(module == one or module.startswith(f"{one}.") for one in packages)
        )
    ]
    assert wrong == []


def test_infrastructure_needs_neither_airflow_nor_aws() -> None:
    """Its environment has CDK and msgspec: what it shares with the pipelines needs nothing else."""
    shared = {"medlaunch", "medlaunch.lake", "medlaunch.permissions", "medlaunch.pipelines"}
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in (ROOT / "infra").rglob("*.py")
        for module, line in imports(file)
        if module.startswith("medlaunch")
        and module not in shared
        and module.rpartition(".")[0] not in shared - {"medlaunch"}
    ]
    assert wrong == []
    program = """
import sys
for name in ("airflow", "boto3", "botocore", "pydantic", "jinja2", "pendulum"):
    sys.modules[name] = None
from medlaunch import lake, permissions
print(sum(len(permissions.of(dag_id)) for dag_id in permissions.dag_ids()))
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT / "plugins")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 20


#: Words of one domain, in names, messages and comments.
DOMAIN_WORDS = re.compile(
    r"facilit|accredit|snapshot_date|as_of|census|nurse|staffing|encounter|patient|clinical|fhir|pbj",
    re.IGNORECASE,
)


def test_generic_modules_name_no_domain() -> None:
    """To add a pipeline is to add a declaration, a domain package, its SQL and its DAG file, and nothing else."""
    wrong = [
        f"{file.relative_to(ROOT)}:{number} says {found[0]}"
        for file in (ROOT / "plugins/medlaunch").rglob("*.py")
        if (part := file.relative_to(ROOT / "plugins/medlaunch").parts[0]) not in {*PURE, "pipelines"}
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if (found := DOMAIN_WORDS.search(line)) and not _is_an_example(part, line)
    ]
    assert wrong == []


def _is_an_example(part: str, line: str) -> bool:
    """The layout and the contract are explained by examples of all pipelines; links name this repository."""
    return (part in ("declaration.py", "lake.py") and ("``" in line or "#:" in line)) or "github.com" in line


def _own_imports(file: Path) -> Iterator[str]:
    """Modules of the library that a file imports when it runs, at any depth; not those for type checking."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name for name in names if name.startswith("medlaunch."))


def test_no_module_of_the_library_imports_itself_in_a_circle() -> None:
    library = ROOT / "plugins/medlaunch"
    graph: dict[str, set[str]] = {}
    for file in library.rglob("*.py"):
        name = ".".join(("medlaunch", *file.relative_to(library).with_suffix("").parts)).removesuffix(
            ".__init__"
        )
        graph[name] = set(_own_imports(file)) - {name}
    graph = {name: {one for one in needs if one in graph} for name, needs in graph.items()}
    while leaves := [name for name, needs in graph.items() if not needs & graph.keys()]:
        for name in leaves:
            del graph[name]
    # What is left imports something that, in the end, imports it, or leads to such a circle.
    assert sorted(graph) == []


def test_no_test_imports_another() -> None:
    """What several tests need is in tests/factories.py, or beside them in a module that is no test."""
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for folder in (ROOT / "tests", *ROOT.glob("packages/*/tests"))
        for file in sorted(folder.rglob("*.py"))
        for module, line in imports(file)
        if re.search(r"(^|\.)test_\w+$", module)
    ]
    assert wrong == []


def test_dag_files_do_not_know_where_they_run() -> None:
    for file in (ROOT / "dags").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        for word in ("os.environ", "getenv", "Variable.get", "localhost", "127.0.0.1", "import boto3"):
            assert word not in text, f"{file.name} contains {word}"


def test_the_arrows_are_really_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("def f():\n    from local_aws import serve\n")
    assert ("local_aws", 2) in imports(file)
