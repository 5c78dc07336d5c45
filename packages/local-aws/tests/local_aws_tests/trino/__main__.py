"""The cases on a real Trino: ``make test-trino``, or ``python -m local_aws_tests.trino [--record]``; with
``--fuzz SECONDS [--seed N]`` random statements, on both (see fuzz).

Trino's engine comes from Maven Central, through the user's own mvn and its settings; Java 17 or later runs it, with
at most 2 GB. Where one of them is missing, this says so and ends well. --record writes Trino's values into cases that
have none.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local_aws_tests import cases

HERE = Path(__file__).parent
WORK = Path("build/trino")
# How long Maven may take to fetch what is not there yet, and Trino to start.
FETCH_SECONDS, START_SECONDS = 1800, 300


class UnavailableError(Exception):
    """Trino cannot be had here."""


def _run(*command: str, timeout: int) -> str:
    if shutil.which(command[0]) is None:
        raise UnavailableError(f"there is no {command[0]}")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as e:
        raise UnavailableError(f"{command[0]} took longer than {timeout} seconds") from e
    if done.returncode:
        reason = next(
            (line for line in done.stdout.splitlines() if "ERROR" in line), done.stderr.strip()[-300:]
        )
        raise UnavailableError(f"{command[0]} failed: {reason[:400]}")
    return done.stdout + done.stderr


def _java_version() -> int:
    m = re.search(r'version "(\d+)', _run("java", "-version", timeout=60))
    return int(m.group(1)) if m else 0


@contextmanager
def server() -> Iterator[str]:
    """A running Trino's URL."""
    if _java_version() < 17:
        raise UnavailableError("Trino needs Java 17 or later")
    WORK.mkdir(parents=True, exist_ok=True)
    listed = WORK / "classpath"
    if not listed.exists() or listed.stat().st_mtime < (HERE / "pom.xml").stat().st_mtime:
        print("Fetching Trino with mvn (about 150 MB the first time) ...", flush=True)
        goal = ["dependency:build-classpath", f"-Dmdep.outputFile={listed.resolve()}"]
        _run("mvn", "-B", "-ntp", "-q", "-f", str(HERE / "pom.xml"), *goal, timeout=FETCH_SECONDS)
    classpath = f"{WORK / 'classes'}:{listed.read_text(encoding='utf-8').strip()}"
    _run(
        "javac",
        "-nowarn",
        "-cp",
        classpath,
        "-d",
        str(WORK / "classes"),
        str(HERE / "Server.java"),
        timeout=300,
    )
    log = WORK / "server.log"
    with log.open("w", encoding="utf-8") as out:
        command = [
            "java",
            "-Xmx2g",
            "-Duser.timezone=UTC",
            "-cp",
            classpath,
            "Server",
            str((WORK / "url").resolve()),
        ]
        (WORK / "url").unlink(missing_ok=True)
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT)
        try:
            for _ in range(START_SECONDS * 2):
                if (WORK / "url").exists() and (url := (WORK / "url").read_text(encoding="utf-8")).endswith(
                    "\n"
                ):
                    yield url.strip()
                    return
                try:
                    process.wait(0.5)
                except subprocess.TimeoutExpired:
                    continue
                raise UnavailableError(f"Trino ended with {process.returncode}; see {log}")
            raise UnavailableError(f"Trino did not start in {START_SECONDS} seconds; see {log}")
        finally:
            process.kill()
            process.wait()


# ------------------------------------------------------------------------------------------- protocol


class FailedError(Exception):
    """A query failed on Trino; the text is its code and message."""


def query(url: str, sql: str) -> list[list[str | None]]:
    """A query's rows, written as Athena writes them (https://trino.io/docs/435/develop/client-protocol.html)."""
    headers = {
        "X-Trino-User": "test",
        "X-Trino-Time-Zone": "UTC",
        "X-Trino-Client-Capabilities": "PARAMETRIC_DATETIME",
        "X-Trino-Catalog": "awsdatacatalog",
        "X-Trino-Schema": "default",
    }

    def call(address: str, body: bytes | None = None) -> dict[str, Any]:
        request = urllib.request.Request(address, body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return dict(json.load(answer))

    answer = call(f"{url}/v1/statement", sql.encode())
    rows: list[list[str | None]] = []
    while True:
        if "error" in answer:
            raise FailedError(f"{answer['error'].get('errorName')}: {answer['error'].get('message')}")
        columns = answer.get("columns") or []
        for row in answer.get("data") or []:
            rows.append([written(v, c["typeSignature"]) for v, c in zip(row, columns, strict=True)])
        if "nextUri" not in answer:
            return rows
        answer = call(answer["nextUri"])


def written(value: Any, signature: dict[str, Any]) -> str | None:
    """A value of Trino's protocol as Athena's result files have it."""
    if value is None:
        return None
    kind, arguments = signature["rawType"], [a["value"] for a in signature["arguments"]]

    def inner(v: Any, s: dict[str, Any]) -> str:
        text = written(v, s)
        return "null" if text is None else text

    if kind == "array":
        return "[" + ", ".join(inner(v, arguments[0]) for v in value) + "]"
    if kind == "map":
        return "{" + ", ".join(f"{k}={inner(v, arguments[1])}" for k, v in value.items()) + "}"
    if kind == "row":
        fields = []
        for i, (v, a) in enumerate(zip(value, arguments, strict=True)):
            name = (a.get("fieldName") or {}).get("name") or f"field{i}"
            fields.append(f"{name}={inner(v, a['typeSignature'])}")
        return "{" + ", ".join(fields) + "}"
    if kind in ("double", "real"):
        return value if isinstance(value, str) else _double(float(value))
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "BingTile":
        return json.dumps(value, separators=(",", ":"))
    if kind == "varbinary":
        return base64.b64decode(value).hex(" ")
    if kind.startswith("time"):
        # Athena shows milliseconds at least.
        return re.sub(
            r"(\d\d:\d\d:\d\d)(?:\.(\d+))?",
            lambda m: f"{m.group(1)}.{(m.group(2) or '').ljust(3, '0')}",
            value,
            count=1,
        )
    return str(value)


def _double(x: float) -> str:
    """Java's Double.toString."""
    if not x or 1e-3 <= abs(x) < 1e7:
        return repr(x)
    mantissa, _, exponent = f"{x!r}".partition("e")
    if exponent:
        return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{int(exponent)}"
    digits = mantissa.replace("-", "").replace(".", "").strip("0")
    size = len(mantissa.replace("-", "").split(".")[0]) - 1
    if abs(x) < 1:
        size = -(len(mantissa.split(".")[1]) - len(mantissa.split(".")[1].lstrip("0")) + 1)
    return f"{'-' if x < 0 else ''}{digits[0]}.{digits[1:] or '0'}E{size}"


# ----------------------------------------------------------------------------------------- comparison


def difference(url: str, case: cases.Case) -> str | None:
    """What Trino gives, if it is not what the case says that it gives."""
    sql = cases.statement(case)
    try:
        rows = query(url, sql)
    except FailedError as e:
        wanted = case.get("trino", case.get("fails"))
        if isinstance(wanted, str) and str(e).split(":")[0] == wanted.split(":")[0]:
            return None
        return str(e)
    wanted = case["trino"] if "trino" in case else cases.expected(case) if "fails" not in case else None
    if isinstance(wanted, list) and cases.same(rows, wanted, "ORDER BY" in sql):
        return None
    return json.dumps(rows, ensure_ascii=False)


def _fuzz(seconds: float, seed: int) -> int:
    from local_aws_tests.trino import fuzz

    with server() as url, fuzz.local() as athena:

        def trino(sql: str) -> fuzz.Answer:
            try:
                return query(url, sql)
            except FailedError as e:
                return str(e)

        return 1 if fuzz.Fuzzer(athena, trino).run(seconds, seed) else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local_aws_tests.trino")
    parser.add_argument(
        "--record", action="store_true", help="write Trino's values into cases that have none"
    )
    parser.add_argument("--fuzz", type=float, metavar="SECONDS", help="compare random statements instead")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    record = options.record
    if options.fuzz is not None:
        try:
            return _fuzz(options.fuzz, options.seed)
        except UnavailableError as e:
            print(f"Skipped: {e}.")
            return 0
    everything = cases.load()
    try:
        with server() as url:
            if record:
                for case in everything:
                    if "expr" in case and "value" not in case:
                        case["value"] = query(url, cases.statement(case))[0][0]
                    elif "sql" in case and "rows" not in case and "fails" not in case:
                        case["rows"] = query(url, case["sql"])
                cases.save(everything)
            everything += [c for c in cases.load(cases.ATHENA) if cases.stateless(c)]
            found = [(c, d) for c in everything if (d := difference(url, c)) is not None]
    except UnavailableError as e:
        print(f"Skipped: {e}.")
        return 0
    for case, given in found:
        print(
            f"{cases.statement(case)}\n  here:  {case.get('fails') or cases.expected(case)}\n  Trino: {given}"
        )
    explained = sum("because" in c for c in everything)
    print(
        f"{len(everything)} cases on Trino: {len(found)} differences that are not explained, {explained} that are."
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
