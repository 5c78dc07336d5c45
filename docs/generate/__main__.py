"""Write the generated pages of ``docs/``, or check that they are what the code says.

python -m docs.generate            write
python -m docs.generate --check    exit status 1 if a page is missing or differs, and say where
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import DAG

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m docs.generate", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page differs")
    parser.add_argument(
        "--root", type=Path, default=ROOT, help="folder that holds docs/ (default: this repository)"
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="airflow-home-") as home:
        _prepare(home)
        wanted = pages()
    if options.check:
        return check(options.root, wanted)
    for name, text in wanted.items():
        path = options.root / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return 0


def pages() -> dict[str, str]:
    """All generated pages: path below the repository's root -> text."""
    from docs.generate.configuration import configuration
    from docs.generate.dags import dags
    from docs.generate.schemas import schemas
    from docs.generate.tables import tables

    found = load_dags()
    return {
        "docs/configuration.md": configuration(),
        "docs/reference/dags.md": dags(found),
        "docs/reference/tables.md": tables(found),
        **schemas(),
    }


def load_dags() -> Mapping[str, DAG]:
    """The DAGs of the repository by their ids.

    Raises:
        ImportError: if a DAG file does not load.
    """
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=ROOT / "dags")
    if bag.import_errors:
        raise ImportError(
            "\n".join(f"{Path(file).name}: {error}" for file, error in bag.import_errors.items())
        )
    return bag.dags


def check(root: Path, wanted: Mapping[str, str]) -> int:
    """Compare the pages below ``root`` with what they should be; 1 if any differs, with the difference."""
    stale = 0
    for name, text in wanted.items():
        path = root / name
        found = path.read_text(encoding="utf-8") if path.is_file() else ""
        if found != text:
            stale += 1
            difference = difflib.unified_diff(
                found.splitlines(),
                text.splitlines(),
                f"{name} (committed)",
                f"{name} (from the code)",
                lineterm="",
                n=1,
            )
            print("\n".join(list(difference)[:40]))
    if stale:
        print(f"{stale} generated pages are not what the code says. Run: make docs", file=sys.stderr)
    return 1 if stale else 0


def _prepare(airflow_home: str) -> None:
    """The pages show the defaults, whatever the environment of the person who writes them."""
    for name in [
        name for name in os.environ if name.startswith(("MEDLAUNCH_", "AIRFLOW__", "AIRFLOW_CONN_"))
    ]:
        del os.environ[name]
    os.environ |= {
        "AIRFLOW_HOME": airflow_home,
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    }
    for folder in (ROOT / "plugins", ROOT / "dags"):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


if __name__ == "__main__":
    sys.exit(main())
