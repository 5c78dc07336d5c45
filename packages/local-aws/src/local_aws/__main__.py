"""python -m local_aws"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import sys
import threading
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    """Runs the server until SIGTERM or SIGINT. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m local_aws",
        description="AWS on a laptop: moto's services and an Athena that really runs SQL, behind one port.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--port", type=int, default=int(os.environ.get("LOCAL_AWS_PORT", "4566")), help="0 for any free port"
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=None,
        metavar="DIR",
        help="folder that keeps buckets, catalog and queries; without it they are gone at the end",
    )
    parser.add_argument("--reset", action="store_true", help="empty the state folder first")
    parser.add_argument(
        "--port-file", type=Path, default=None, metavar="FILE", help="write the port there when healthy"
    )
    parser.add_argument(
        "--enforce-iam",
        action="store_true",
        help="keys of IAM users and of assumed roles may do what their policies allow; any other key may do all",
    )
    parser.add_argument("--log-level", default=os.environ.get("LOCAL_AWS_LOG", "INFO"))
    options = parser.parse_args(argv)
    logging.basicConfig(
        level=options.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    if options.reset and options.state is not None:
        shutil.rmtree(options.state, ignore_errors=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    from local_aws.server import serve
    from local_aws.state import IncompatibleState

    try:
        server = serve(options.state, options.host, options.port, options.enforce_iam)
    except IncompatibleState as e:
        print(f"local_aws: {e}", file=sys.stderr)
        return 1
    except OSError as e:
        print(
            f"local_aws: cannot listen on {options.host}:{options.port}: {e.strerror}; choose another --port",
            file=sys.stderr,
        )
        return 1
    if options.port_file is not None:
        partial = options.port_file.with_suffix(".partial")
        partial.write_text(f"{server.port}\n")
        partial.replace(options.port_file)
    print(server.url, flush=True)
    stop.wait()
    server.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
