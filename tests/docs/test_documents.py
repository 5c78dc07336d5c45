"""What the documents say exists: links, files, settings, make targets, reasons, commands."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from medlaunch.accreditation import RejectReason
from medlaunch.formats.content import Unreadable
from medlaunch.lake import SkipReason
from medlaunch.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "dags",
    "dashboard",
    "plugins",
    "include",
    "docs",
    "packages",
    "laptop",
    "deploy",
    "examples",
    "infra",
    "sample_data",
    "benchmarks",
    "tests",
    "bin",
    ".ci",
)
DOCUMENTS = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.md"))]
    if "node_modules" not in path.parts
)

_FENCE = re.compile(r"^( *)```.*?^\1```", re.DOTALL | re.MULTILINE)
_INLINE_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


def names(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=names)


def prose(document: Path) -> str:
    """The text without its code blocks."""
    return _FENCE.sub("", document.read_text(encoding="utf-8"))


def anchors(document: Path) -> Iterator[str]:
    """The anchors that GitHub makes of the headings."""
    seen: dict[str, int] = {}
    for heading in _HEADING.findall(prose(document)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        number = seen.get(anchor, 0)
        seen[anchor] = number + 1
        yield f"{anchor}-{number}" if number else anchor


def test_there_are_documents() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= {names(one) for one in DOCUMENTS}
    assert len(DOCUMENTS) > 15


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for link in _LINK.findall(_INLINE_CODE.sub("", prose(document))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in set(anchors(target))):
            broken.append(link)
    assert not broken, f"{names(document)}: {broken}"


@every_document
def test_files_that_are_named_exist(document: Path) -> None:
    missing = []
    for code in _INLINE_CODE.findall(prose(document)):
        if not re.fullmatch(rf"({'|'.join(map(re.escape, FOLDERS))})/[\w./-]*", code):
            continue
        # A package's documents name its own files from its own folder.
        if not any((base / code).exists() for base in (ROOT, *document.parents) if base.is_relative_to(ROOT)):
            missing.append(code)
    assert not missing, f"{names(document)} names {missing}"


@every_document
def test_settings_that_are_named_exist(document: Path) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    named = set(re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", document.read_text(encoding="utf-8")))
    assert named <= known, f"{names(document)} names {named - known}"


@every_document
def test_make_targets_that_are_named_exist(document: Path) -> None:
    targets = set(
        re.findall(r"^([a-z][a-z-]*)\s*:(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    text = document.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^ *(?:\$ )?)make ([a-z][a-z-]*)", text, re.MULTILINE))
    assert named <= targets, f"{names(document)} names {named - targets}"


@every_document
def test_nothing_of_a_machine_or_a_registry_is_named(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert str(ROOT) not in text
    assert not re.search(r"/(home|Users|root)/\w", text), names(document)


def test_every_rule_of_the_data_is_documented_in_its_order() -> None:
    page = (ROOT / "docs/data-quality.md").read_text(encoding="utf-8")
    lines = page.split("## Lines")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", lines, re.MULTILINE) == [one.value for one in RejectReason]
    for reason in RejectReason:
        row = next(line for line in lines.splitlines() if line.startswith(f"| `{reason}` |"))
        assert row.endswith("line rejected |") == reason.rejects_the_facility
    uploads = page.split("## Uploads")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", uploads, re.MULTILINE)) == {*SkipReason, *Unreadable}


@pytest.mark.parametrize("folder", ["docs/decisions", "packages/local-aws/docs/decisions"])
def test_decisions_are_listed(folder: str) -> None:
    records = sorted(path.name for path in (ROOT / folder).glob("[0-9]*.md"))
    listed = re.findall(
        r"\]\((\d{4}-[\w-]+\.md)\)", (ROOT / folder / "README.md").read_text(encoding="utf-8")
    )
    assert listed == records
    numbers = [name[:4] for name in records]
    assert len(set(numbers)) == len(numbers)
    for number, name in zip(numbers, records, strict=True):
        title = (ROOT / folder / name).read_text(encoding="utf-8").splitlines()[0]
        assert title.startswith(f"# {number}: ")


def test_the_license_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert text.rstrip().endswith("limitations under the License.")


def test_errors_that_this_repository_prints_are_quoted_as_it_prints_them() -> None:
    """Texts of our own in troubleshooting.md stand in the code like that."""
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    code = "\n".join(
        file.read_text(encoding="utf-8")
        for folder in ("dags", "plugins", "laptop", "packages/local-aws/src", "deploy")
        for file in (ROOT / folder).rglob("*.py")
    )
    for text in (
        "Nothing is published, as ",
        "The run's params cannot be used",
        "does not exist; was the task that writes it cleared?",
        "Environment variables that cannot be used: ",
        "No include/sql folder near ",
        "The task's process ended without an error",
        "the WHERE clause must contain only static equality conditions, and at least one such condition must be present.",
        "is not supported by local_aws",
        "cannot be used (",
        "No Docker engine answers, and none can be started here",
        "Only commits can be deployed, and these changes are not committed",
        "This account has no stack ",
    ):
        assert text.strip() in page, f"troubleshooting.md does not quote {text!r}"
        assert text in code, f"Nothing prints {text!r} any more"


def test_the_picture_is_well_formed_and_says_what_it_shows() -> None:
    import xml.etree.ElementTree as ET

    root = ET.parse(ROOT / "docs/images/flow.svg").getroot()
    kinds = [one.tag.rsplit("}", 1)[-1] for one in root]
    assert "title" in kinds
    assert "desc" in kinds
    style = next(one.text or "" for one in root if one.tag.endswith("style"))
    assert "prefers-color-scheme: dark" in style


def test_shell_commands_of_the_documents_parse() -> None:
    """bash -n over every block of shell commands."""
    checked = 0
    for document in DOCUMENTS:
        for block in re.findall(
            r"^ *```(?:bash|sh|shell)\n(.*?)^ *```",
            document.read_text(encoding="utf-8"),
            re.DOTALL | re.MULTILINE,
        ):
            run = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
            assert run.returncode == 0, f"{names(document)}: {run.stderr}\n{block}"
            checked += 1
    assert checked


def test_metrics_that_are_named_exist_in_airflow() -> None:
    import airflow

    known = Path(str(airflow.__file__)).parent / "_shared/observability/metrics/metrics_template.yaml"
    names_of_airflow = set(re.findall(r'^ +- name: "(.+)"$', known.read_text(encoding="utf-8"), re.MULTILINE))
    page = (ROOT / "docs/observability.md").read_text(encoding="utf-8").split("## Airflow's metrics")[1]
    named = {
        name
        for row in re.findall(r"^\| (`.+?) \|", page, re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", row)
    }
    # Each component's heartbeat is there under its own name too.
    assert len(named) > 15
    assert named <= names_of_airflow, named - names_of_airflow
