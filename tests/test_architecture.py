"""Who may import whom: dags -> medlaunch -> nothing of ours; domains pure; local_aws apart."""

from __future__ import annotations

import ast
import re
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
    "deploy": {"deploy", "medlaunch"},
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
    """Its environment has CDK and nothing of ours: what it shares with the pipelines is pure."""
    shared = {"medlaunch", "medlaunch.lake", "medlaunch.permissions"}
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for folder, allowed in (
            ("infra", shared),
            ("plugins/medlaunch/permissions", {*shared, "medlaunch.permissions._needs"}),
        )
        for file in (ROOT / folder).rglob("*.py")
        for module, line in imports(file)
        if module.split(".")[0] in {"airflow", "boto3", "botocore"}
        or (
            module.startswith("medlaunch")
            and module not in allowed
            and module.rpartition(".")[0] not in allowed - {"medlaunch"}
        )
    ]
    assert wrong == []


def test_no_test_imports_another() -> None:
    """What several tests need is in tests/factories.py, or beside them in a module that is no test."""
    # Moves with the rest of tests/medlaunch.
    not_yet = {"tests/medlaunch/test_rollback.py"}
    wrong = [
        f"{name}:{line} imports {module}"
        for folder in (ROOT / "tests", *ROOT.glob("packages/*/tests"))
        for file in sorted(folder.rglob("*.py"))
        if (name := file.relative_to(ROOT).as_posix()) not in not_yet
        for module, line in imports(file)
        if re.search(r"(^|\.)test_\w+$", module)
    ]
    assert wrong == []


def test_dag_files_do_not_know_where_they_run() -> None:
    for file in (ROOT / "dags").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        for word in ("os.environ", "getenv", "Variable", "localhost", "127.0.0.1", "import boto3"):
            assert word not in text, f"{file.name} contains {word}"


def test_the_arrows_are_really_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("def f():\n    from local_aws import serve\n")
    assert ("local_aws", 2) in imports(file)
