"""The checks themselves: hooks that run from the lock on all files, and .ci/run, which lets nothing slip."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
VENV = Path(sys.executable).parents[1]
HOOKS = [
    hook
    for repository in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    for hook in repository["hooks"]
]
#: `make lint` runs these tools on everything, so running them here again would only cost time.
LINTED = {
    "ruff": "ruff check .",
    "ruff-format": "ruff format --check .",
    "mypy": "-m mypy\n",
    "sqlfluff": "sqlfluff lint include/sql",
    "generated-docs": "docs.generate --check",
}


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "init.defaultBranch=main")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work tree as a repository of its own, so that hooks which mend files mend nobody's."""
    folder = tmp_path_factory.mktemp("tree")
    for name in git(ROOT, "ls-files", "-co", "--exclude-standard", "-z").split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(VENV)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    return folder


def run_hooks(folder: Path, cache: Path, *files: str) -> subprocess.CompletedProcess[str]:
    """Run the hooks on some files, or on all."""
    environment = {**os.environ, "SKIP": ",".join(LINTED), "PRE_COMMIT_HOME": str(cache)}
    which = ["--files", *files] if files else ["--all-files"]
    return subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", "--color=never", *which],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_hook_is_local_and_of_the_environment() -> None:
    assert HOOKS
    for hook in HOOKS:
        assert hook["language"] == "system"
        program = hook["entry"].split()[0]
        assert program.startswith(".venv/bin/")
        assert (VENV / "bin" / Path(program).name).is_file(), f"{program} is not in the lock"


def test_lint_runs_what_the_hooks_run_but_changes_nothing() -> None:
    makefile = (ROOT / "Makefile").read_text()
    lint = makefile.split("\nlint:")[1].split("\n\n")[0]
    ids = {hook["id"] for hook in HOOKS}
    for hook, command in LINTED.items():
        assert hook in ids
        assert command in lint
    types = next(hook for hook in HOOKS if hook["id"] == "mypy")
    assert types["stages"] == ["pre-push"], "the whole tree takes too long for every commit"


def test_mypy_reads_every_folder_with_python() -> None:
    read = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["files"]
    tracked = git(ROOT, "ls-files", "*.py").splitlines()
    assert [name for name in tracked if not name.startswith(tuple(f"{folder}/" for folder in read))] == []


def test_a_make_target_runs_the_tests_that_make_test_leaves_out() -> None:
    selected = re.findall(r"-m (slow|docker) (\S+)", (ROOT / "Makefile").read_text())
    marked = {
        (marker, file)
        for file in (ROOT / "tests").rglob("test_*.py")
        for marker in re.findall(r"pytest\.mark\.(slow|docker)\b", file.read_text(encoding="utf-8"))
        if file != Path(__file__)
    }
    assert marked
    for marker, file in marked:
        assert any(marker == one and file.is_relative_to(ROOT / path) for one, path in selected), file


def test_help_lists_every_command_on_one_screen() -> None:
    makefile = (ROOT / "Makefile").read_text()
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(listed) <= 42
    assert max(map(len, listed)) <= 100
    phony = set(re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE))
    commands = {line.split()[1] for line in listed if line.startswith("  make ")}
    long_tests = " ".join(listed).rpartition("make test-:")[2].split()
    assert commands | {f"test-{name}" for name in long_tests} == phony


def test_hooks_pass_on_all_files(copy: Path, tmp_path: Path) -> None:
    run = run_hooks(copy, tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr


def test_hooks_find_what_they_are_for(copy: Path, tmp_path: Path) -> None:
    bad = {
        "key.txt": "-----BEGIN RSA " + "PRIVATE KEY-----\nMII\n",
        "password.py": 'password = "hunter2' + 'Correct-Horse"\n',
        "cloud.cfg": "key = AKIA" + "Z7QXMPLEKEYSTRNG" + "\n",
        "end.txt": "no line break at the end",
        "broken.yaml": "a: [1\n",
    }
    for name, content in bad.items():
        (copy / name).write_text(content)
    try:
        git(copy, "add", *bad)
        run = run_hooks(copy, tmp_path, *bad)
    finally:
        git(copy, "rm", "-qf", *bad)
    failed = {line.split("...")[0] for line in run.stdout.splitlines() if line.endswith("Failed")}
    assert failed == {
        "no private keys",
        "no passwords, tokens or cloud keys",
        "files end with one line break",
        "YAML parses",
    }, run.stdout
    assert "password.py" in run.stdout
    assert "cloud.cfg" in run.stdout


# --- .ci/run ---------------------------------------------------------------------------------------

REPORT = "build/test-results.xml"
PASSING = f"""
lint:
\t@echo linted
test-dashboard:
\t@echo pages
test:
\t@test -z "$$(cat)" && test "$$CI" = true && mkdir -p build && \\
\t  echo '<testsuites><testsuite tests="2" skipped="1"/></testsuites>' > {REPORT}
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A small repository with the real .ci/run and a Makefile of the test's own."""
    folder = tmp_path / "a clone"
    (folder / ".ci").mkdir(parents=True)
    shutil.copy2(ROOT / ".ci/run", folder / ".ci/run")
    (folder / "page.md").write_text("# Page\n")
    (folder / ".gitignore").write_text("build/\n.venv\n__pycache__/\n")
    (folder / "Makefile").write_text(PASSING)
    (folder / ".venv").symlink_to(VENV)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "all")
    return folder


def ci(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [folder / ".ci/run"], cwd="/", env=environment, capture_output=True, text=True, check=False
    )


def test_ci_passes_and_says_what_it_did(clone: Path) -> None:
    run = ci(clone)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "make lint" in run.stdout
    assert "make test" in run.stdout
    assert "all checks passed, 1 tests" in run.stdout
    # By which `make deploy` knows.
    assert (clone / "build/checks-passed").read_text() == git(clone, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("makefile", "complaint"),
    [
        (PASSING.replace("@echo linted", "@false"), "make lint"),
        (PASSING.replace("test -z", "false && test -z"), "make test"),
        (PASSING.replace('tests="2"', 'tests="0"').replace('skipped="1"', 'skipped="0"'), "no test ran"),
        (PASSING.replace('skipped="1"', 'skipped="2"'), "no test ran"),
        ("lint:\n\t@true\ntest:\n\t@true\n", "no test ran"),
        (PASSING.replace("@echo pages", "@false"), "make test-dashboard"),
        (PASSING + "\ttouch left_behind\n", "changed the tree"),
        (PASSING + "\techo '# more' >> page.md\n", "changed the tree"),
    ],
)
def test_ci_fails(clone: Path, makefile: str, complaint: str) -> None:
    (clone / "Makefile").write_text(makefile)
    git(clone, "commit", "-qam", "changed")
    run = ci(clone)
    assert run.returncode != 0
    assert f"FAILED: {complaint}" in run.stderr or complaint in run.stderr, run.stderr


def test_ci_does_not_mind_changes_that_were_there_before(clone: Path) -> None:
    (clone / "notes.txt").write_text("mine\n")
    assert ci(clone).returncode == 0
    assert not (clone / "build/checks-passed").exists(), "what was checked is not the commit"
