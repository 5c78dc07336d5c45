"""The tables of what is supported in the package's README.md, from the tests and cases that prove it.

``python -m local_aws_tests.supported`` writes them.
"""

from __future__ import annotations

import ast
from pathlib import Path

from local_aws_tests import cases

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- supported: begin -->", "<!-- supported: end -->"
GUIDE = "https://docs.aws.amazon.com/athena/latest/ug/"


def features() -> list[tuple[str, str, str]]:
    """(area, feature, test) of each test that is marked with `supports`, in the order of the files."""
    found = []
    folder = Path(__file__).parents[1]
    for path in [*sorted(folder.glob("test_*.py")), *sorted(folder.glob("clients/test_*.py"))]:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef):
                continue
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.supports":
                    area, feature = (ast.literal_eval(a) for a in decorator.args)
                    found.append((area, feature, f"{path.relative_to(folder).as_posix()}::{node.name}"))
    return found


def table() -> str:
    order = [
        "DDL",
        "Formats",
        "Partitions",
        "Expressions",
        "Writing",
        "Iceberg",
        "API",
        "S3",
        "IAM",
        "CloudFormation",
        "State",
        "Clients",
    ]
    rows = sorted(features(), key=lambda f: order.index(f[0]))
    lines = ["| area | what works | proven by |", "|---|---|---|"]
    lines += [f"| {a} | {f.replace('|', chr(92) + '|')} | `{t}` |" for a, f, t in rows]
    return "\n".join(lines)


def pages() -> str:
    """The user guide's pages: how many of their examples and rules run as the page says, and what does not."""
    found: dict[str, list[cases.Case]] = {}
    for case in cases.load(cases.ATHENA):
        if "define" not in case:
            found.setdefault(case["source"], []).append(case)
    lines = ["| page of the user guide | cases | that pass | what does not |", "|---|---|---|---|"]
    for page, chosen in sorted(found.items()):
        failing = [c["known_failure"].partition(": ")[2] for c in chosen if "known_failure" in c]
        reasons = "; ".join(dict.fromkeys(failing)).replace("|", "\\|")
        name = page.removeprefix(GUIDE).removesuffix(".html")
        lines.append(f"| [{name}]({page}) | {len(chosen)} | {len(chosen) - len(failing)} | {reasons} |")
    return "\n".join(lines)


def rendered(text: str) -> str:
    """README.md with the table as it should be."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table()}\n\n{pages()}\n{END}{tail}"


if __name__ == "__main__":
    README.write_text(rendered(README.read_text(encoding="utf-8")), encoding="utf-8")
