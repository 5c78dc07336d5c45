"""What is mutated, and the tests that should notice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUGINS = Path("plugins/medlaunch")
SQL = Path("include/sql")

#: Folders of the library whose tests are in the folder of the same name.
FOLDERS = ("accreditation", "staffing", "clinical", "publish", "ingest")
#: Statements that make or check results, and their tests.
STATEMENTS = {
    "facility_accreditation": "test_accreditation_sql.py",
    "nurse_staffing": "test_staffing_sql.py",
    "clinical_quality": "test_clinical_sql.py",
}
_KINDS = ("extract", "check", "gold", "merge", "views")


@dataclass(frozen=True)
class Target:
    """One file, and the arguments of pytest for its tests, those that are likeliest to notice first."""

    file: Path
    tests: tuple[str, ...]


def targets() -> list[Target]:
    """All files that are mutated, those of a folder one after the other."""
    found = []
    for folder in FOLDERS:
        tests = f"tests/medlaunch/{folder}"
        for file in sorted((ROOT / PLUGINS / folder).glob("*.py")):
            if file.name.startswith("__"):
                continue
            own = f"{tests}/test_{file.stem}.py"
            found.append(Target(file.relative_to(ROOT), (own, tests) if (ROOT / own).exists() else (tests,)))
    for dag_id, tests in STATEMENTS.items():
        for kind in _KINDS:
            found += [
                Target(file.relative_to(ROOT), (f"tests/sql/{tests}",))
                for file in sorted((ROOT / SQL / dag_id / kind).rglob("*.sql"))
            ]
    return found
