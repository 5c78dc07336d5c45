"""``make bench``: run the benchmarks, print their ratios and write them to benchmarks/RESULTS.md.

``python -m benchmarks load_bronze filter`` runs only those; the rest of RESULTS.md stays as it was.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("AWS_ACCESS_KEY_ID", "bench")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "bench")
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"

BENCHMARKS = {
    "load_bronze": "Loading uploads into bronze",
    "load_csv": "Loading CSV files into bronze",
    "load_fhir": "Loading FHIR resources into bronze",
    "load_parts": "Loading one large upload in parts",
    "filter": "Filtering what expires",
    "run": "From an upload to its publication",
    "publish": "Publishing",
    "history": "One upload against the history in the lake",
    "parse": "Parsing the DAGs",
    "local_athena": "The local Athena",
    "results": "Results of staffing and clinical quality on local_aws",
    "merge": "Merging into Iceberg on local_aws",
}


def table(rows: list[dict[str, Any]]) -> str:
    lines = ["| what | against | ours | ratio | goal |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['what']} | {row['plain']} | {row['ours']} | {row['ratio']:.2f} | {row['goal']} |"
        for row in rows
    ]
    return "\n".join(lines)


def tables(page: str) -> dict[str, str]:
    """The tables of a page that render() wrote, by their benchmarks' names."""
    found = dict(part.split("\n\n", 1) for part in page.split("\n## ")[1:])
    return {name: found[title].strip() for name, title in BENCHMARKS.items() if title in found}


def render(results: dict[str, str]) -> str:
    """The page of these tables, by their benchmarks' names."""
    parts = [
        "# Benchmarks",
        "",
        "Written by `make bench`. Candidates run side by side, in turns and in fresh processes where memory is",
        "measured; seconds are medians and mean little elsewhere, ratios are what to look at: how many times as fast",
        "as the other way (history and parsing: how many times the cost). MB is the greatest peak of resident memory",
        "of a process, interpreter and imports included.",
        "",
        f"Python {platform.python_version()}, {os.cpu_count()} cores.",
    ]
    for name, title in BENCHMARKS.items():
        if name in results:
            parts += ["", f"## {title}", "", results[name]]
    return "\n".join(parts) + "\n"


def main(names: list[str]) -> int:
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        print(
            f"No such benchmark: {', '.join(sorted(unknown))}. There are {', '.join(BENCHMARKS)}.",
            file=sys.stderr,
        )
        return 2
    results = tables(RESULTS.read_text(encoding="utf-8")) if names and RESULTS.exists() else {}
    for name in names or BENCHMARKS:
        print(f"{BENCHMARKS[name]} ...", file=sys.stderr, flush=True)
        results[name] = table(importlib.import_module(f"benchmarks.bench_{name}").run())
        print(results[name], flush=True)
        RESULTS.write_text(render(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
