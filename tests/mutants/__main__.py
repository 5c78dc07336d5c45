"""``make test-mutants``: change the code in small ways, and see that a test fails each time.

A copy of the repository is changed, never the files themselves. Python is changed by cosmic-ray, SQL by
:mod:`tests.mutants.statements`. Survivors, which no test noticed, are printed. The command fails if fewer than 90 % of the
mutants are killed; what ``explained.toml`` says a word about does not count. There are more mutants than fit into a night,
so each day begins at another file.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from tests.mutants.statements import mutants
from tests.mutants.targets import ROOT, Target, targets

TREE = ROOT / "build" / "mutants" / "tree"
TOOLS = ROOT / ".venv-mutants" / "bin"
EXPLAINED = Path(__file__).parent / "explained.toml"
KILLED = 0.9
# Of the operators that replace another one, one each: the others say the same. Types are not evaluated.
_EXCLUDED = (
    r"core/ReplaceBinaryOperator_(?!Add_Sub|Sub_Add|Mul_FloorDiv|FloorDiv_Mul|Mod_Mul|Div_Mul|BitAnd_BitOr).*"
)


@dataclass(frozen=True)
class Mutant:
    """One that was tried: where, what was changed, the line as it is, and whether a test failed."""

    file: Path
    line: int
    change: str
    text: str
    killed: bool

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}  {self.change}\n    {self.text}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make test-mutants", description=__doc__)
    parser.add_argument("files", nargs="*", help="files or folders; all, if none is named")
    parser.add_argument("--minutes", type=float, default=100)
    arguments = parser.parse_args()
    chosen = _chosen(arguments.files, datetime.now(UTC).date())
    if not chosen:
        print(f"Nothing is mutated in {' '.join(arguments.files)}", file=sys.stderr)
        return 2
    _copy_tree()
    ends = time.monotonic() + arguments.minutes * 60
    tried: list[Mutant] = []
    for number, target in enumerate(chosen):
        if time.monotonic() >= ends:
            print(f"{len(chosen) - number} files are left for another day")
            break
        tried += _try(target, ends)
    return _judge(tried)


def _chosen(names: Sequence[str], day: date) -> list[Target]:
    everything = targets()
    if names:
        wanted = [Path(name) for name in names]
        return [one for one in everything if any(one.file.is_relative_to(name) for name in wanted)]
    # A prime, so that days in a row are far from each other.
    begin = day.toordinal() * 31 % len(everything)
    return everything[begin:] + everything[:begin]


def _copy_tree() -> None:
    shutil.rmtree(TREE, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True, capture_output=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (TREE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, TREE / name)


def _environment() -> dict[str, str]:
    folders = (TREE, TREE / "plugins", TREE / "packages" / "local-aws" / "src")
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders)), "PYTHONDONTWRITEBYTECODE": "1"}


def _command(target: Target) -> list[str]:
    options = ["-n0", "-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    return [sys.executable, "-m", "pytest", *options, *target.tests]


def _run(command: Sequence[str], seconds: float) -> int | None:
    """The status of a command that runs in the copy; None if it took too long."""
    process = subprocess.Popen(
        command, cwd=TREE, env=_environment(), stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        # Also what it has started, and if this is interrupted.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _try(target: Target, ends: float) -> list[Mutant]:
    started = time.monotonic()
    if _run(_command(target), ends - started) != 0:
        if time.monotonic() >= ends:
            return []
        raise SystemExit(f"The tests of {target.file} fail without any change: {' '.join(target.tests)}")
    baseline = time.monotonic() - started
    try_all = _try_python if target.file.suffix == ".py" else _try_sql
    file = TREE / target.file
    before = file.read_bytes()
    found = list(try_all(target, 30 + 5 * baseline, ends))
    file.write_bytes(before)
    killed = sum(one.killed for one in found)
    print(f"{target.file}: {killed} of {len(found)} killed, {time.monotonic() - started:,.0f} s", flush=True)
    return found


def _try_python(target: Target, timeout: float, ends: float) -> Iterator[Mutant]:
    folder = TREE.parent
    config, session = folder / "session.toml", folder / "session.sqlite"
    session.unlink(missing_ok=True)
    command = " ".join(_command(target))
    lines = (TREE / target.file).read_text(encoding="utf-8").splitlines()
    config.write_text(
        f"[cosmic-ray]\nmodule-path = {json.dumps(str(target.file))}\ntimeout = {timeout:.1f}\nexcluded-modules = []\n"
        f'test-command = {json.dumps(command)}\n[cosmic-ray.distributor]\nname = "local"\n'
        f"[cosmic-ray.filters.operators-filter]\nexclude-operators = [{json.dumps(_EXCLUDED)}]\n"
    )
    for tool in (("cosmic-ray", "init", config, session), ("cr-filter-operators", session, config)):
        command_line = [f"{TOOLS}/{tool[0]}", *map(str, tool[1:])]
        subprocess.run(command_line, cwd=TREE, env=_environment(), check=True, capture_output=True)
    _run([str(TOOLS / "cosmic-ray"), "exec", str(config), str(session)], max(1, ends - time.monotonic()))
    dump = subprocess.run(
        [TOOLS / "cosmic-ray", "dump", session], cwd=TREE, check=True, capture_output=True, text=True
    )
    for item, result in map(json.loads, dump.stdout.splitlines()):
        if result is None or result["worker_outcome"] == "skipped":
            continue
        (one,) = item["mutations"]
        line = one["start_pos"][0]
        if lines[line - 1] == "if TYPE_CHECKING:":  # nothing runs there
            continue
        change = one["operator_name"].removeprefix("core/")
        yield Mutant(target.file, line, change, lines[line - 1].strip(), result["test_outcome"] != "survived")


def _try_sql(target: Target, timeout: float, ends: float) -> Iterator[Mutant]:
    text = (TREE / target.file).read_text(encoding="utf-8")
    lines = text.splitlines()
    found = list(mutants(text))
    random.Random(0).shuffle(found)
    for line, change, changed in found:
        if time.monotonic() >= ends:
            return
        (TREE / target.file).write_text(changed, encoding="utf-8")
        status = _run(_command(target), timeout)
        yield Mutant(target.file, line, change, lines[line - 1].strip(), status != 0)


def explained() -> list[dict[str, str]]:
    """Survivors that are no gap in the tests: ``file``, the ``line`` as it is, and ``why``."""
    return tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))["survivor"]


def _judge(tried: Sequence[Mutant]) -> int:
    known = {(one["file"], one["line"]) for one in explained()}
    survived = [one for one in tried if not one.killed]
    unexplained = [one for one in survived if (str(one.file), one.text) not in known]
    counted = len(tried) - len(survived) + len(unexplained)
    for one in unexplained:
        print(one.place)
    if not counted:
        print("No mutant was tried")
        return 1
    share = 1 - len(unexplained) / counted
    print(
        f"{len(tried)} mutants: {len(tried) - len(survived)} killed, {len(survived) - len(unexplained)} explained, "
        f"{len(unexplained)} survived. {share:.1%} of those that count are killed"
    )
    return 0 if share >= KILLED else 1


if __name__ == "__main__":
    sys.exit(main())
