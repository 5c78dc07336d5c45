"""A random history: ``python -m tests.history [--seed N] [--steps N]``.

Uploads, corrections, replays, rollbacks, failures and runs at the same time, over all three pipelines, by the real DAGs in
this process. After each step all published tables, and the views of accreditation and staffing, are compared with the model.
Ends at the first difference.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import logging
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.history", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="of the steps (default: a random one)")
    parser.add_argument("--steps", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--log", type=Path, help="where Airflow's log goes (default: a temporary file)")
    options = parser.parse_args()
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    # Sets Airflow's environment, which Airflow reads when it is imported.
    importlib.import_module("tests.conftest")
    log = options.log or Path(tempfile.mkdtemp(prefix="history-")) / "airflow.log"
    with _quiet(log) as out:
        return _play(seed, options.steps, log, out)


@contextlib.contextmanager
def _quiet(log: Path) -> Iterator[TextIO]:
    """Send what Airflow prints to a file; gives what was standard output before."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    yield out


def _play(seed: int, steps: int, log: Path, out: TextIO) -> int:
    import boto3

    import local_aws
    from medlaunch.aws.objects import CLIENT_CONFIG
    from tests.history.lake import Lake
    from tests.history.model import Wrong
    from tests.history.steps import History

    def say(text: str) -> None:
        print(text, file=out, flush=True)

    logging.disable(logging.DEBUG)
    began = time.monotonic()
    say(f"History of seed {seed}, {steps} steps; Airflow's log: {log}")
    with local_aws.serve() as server:

        def client(service: str) -> object:
            return boto3.client(service, endpoint_url=server.url, config=CLIENT_CONFIG)  # type: ignore[call-overload]

        lake = Lake(client, server.url)
        history = History(lake, seed)
        try:
            for number in range(1, steps + 1):
                history.step()
                say(f"{number:4} {time.monotonic() - began:6.0f} s  {history.said[-1]}")
        except Wrong as error:
            say(f"\nDIFFERENCE at step {number} of seed {seed}, after these steps:")
            for place, text in enumerate(history.said, start=1):
                say(f"{place:4} {text}")
            say(f"\n{error}\n\nRepeat: make test-history SEED={seed} STEPS={number}")
            return 1
        finally:
            lake.close()
    counts = ", ".join(f"{count} {kind}" for kind, count in history.counts.most_common())
    say(f"{steps} steps of seed {seed} in {time.monotonic() - began:.0f} s: {counts}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
