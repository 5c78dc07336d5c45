"""Local AWS for as long as its starter lives: ``python -m laptop.aws_process PORT STATE_FOLDER``.

It ends when its standard input does, that is, with its parent, however that ended.
"""

from __future__ import annotations

import sys

import local_aws


def main() -> int:
    port, state = sys.argv[1:]
    with local_aws.serve(port=int(port), state=state):
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
