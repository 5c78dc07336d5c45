"""The process in which local AWS runs: ``python -m laptop.aws_process --port P [--state FOLDER] [--until-eof]``.

With ``--until-eof`` it ends when its standard input does, that is, with whoever started it, however that
one ended.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

import local_aws


def _wait_for_eof(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m laptop.aws_process")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--until-eof", action="store_true")
    arguments = parser.parse_args()

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with local_aws.serve(port=arguments.port, state=arguments.state) as server:
        print(server.url, flush=True)
        if arguments.until_eof:
            threading.Thread(target=_wait_for_eof, args=(ended,), daemon=True).start()
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
