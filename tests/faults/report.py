"""The last result of each cell, in ``build/faults.json``, and the table of them in ``docs/reliability.md``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build" / "faults.json"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- matrix: begin -->", "<!-- matrix: end -->"


def name_of(result: dict[str, Any]) -> str:
    """The name of the cell that a result is of."""
    return f"{result['step']} / {result['fault']} / {result['recovery']}"


def results() -> dict[str, dict[str, Any]]:
    """The last result of each cell, by the cells' names."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}


def keep(result: dict[str, Any]) -> None:
    """Remember a cell's result in the place of its last one."""
    RESULTS.parent.mkdir(exist_ok=True)
    unfinished = RESULTS.with_suffix(".partial")
    unfinished.write_text(json.dumps(results() | {name_of(result): result}, indent=1), encoding="utf-8")
    unfinished.replace(RESULTS)


def table(names: Iterable[str]) -> str:
    """The named cells as a table: step, fault, how it recovers, what came of it, in how many seconds."""
    known, names = results(), list(names)
    cells = [known[name] for name in names if name in known]
    passed = sum(one["passed"] for one in cells)
    lines = [
        f"{len(names)} cells, {len(cells)} carried out, {passed} passed, {len(cells) - passed} failed; "
        f"{sum(one['seconds'] for one in cells) / 60:.0f} minutes of cells, which run two at a time.",
        "",
        "| group | carried out | passed | failed |",
        "|---|---:|---:|---:|",
    ]
    counts: dict[str, Counter[bool]] = {}
    for one in cells:
        counts.setdefault(one["group"], Counter())[one["passed"]] += 1
    lines += [
        f"| {group} | {sum(n.values())} | {n[True]} | {n[False]} |" for group, n in sorted(counts.items())
    ]
    lines += ["", "| step | fault | recovery | result | seconds | on |", "|---|---|---|---|---:|---|"]
    for one in cells:
        mark = "ok" if one["passed"] else "**fails**"
        lines.append(
            f"| `{one['step']}` | {one['fault']} | {one['recovery']} | {mark} | {one['seconds']:.0f} | {one['on']} |"
        )
    return "\n".join(lines)


def write(names: Iterable[str]) -> None:
    """Put the table of these cells into the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table(names)}\n{END}{after}", encoding="utf-8")
