"""``python -m deploy <command>``; ``make package`` and ``make deploy`` are the same commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy import environment, package
from medlaunch.settings import SettingsError

EXPECTED = (environment.EnvironmentUnknown, SettingsError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, or 1 with a message of what is wrong."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.command(arguments)
    except EXPECTED as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy", description="The way to Amazon MWAA.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser("package", help="lay out what MWAA reads in dist/mwaa")
    one.set_defaults(command=_package)
    _common(one)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--env", default="dev", help=f"one of: {', '.join(environment.names())}")
    parser.add_argument(
        "--outputs", type=Path, help="outputs of the stacks: cdk deploy --outputs-file, or describe-stacks"
    )
    parser.add_argument("--target", type=Path, default=package.DIST, help="folder of the package")


def _package(arguments: argparse.Namespace) -> int:
    outputs = environment.load_outputs(arguments.outputs) if arguments.outputs else {}
    settings = environment.settings_of(arguments.env, outputs)
    files = package.build(settings, arguments.target)
    size = sum((arguments.target / name).stat().st_size for name in files)
    print(
        f"{arguments.target}: {len(files)} files, {size:,} bytes, sha256 {package.digest(arguments.target)}"
    )
    if absent := environment.missing(settings):
        print(f"startup.sh lacks {', '.join(absent)}: they are outputs of the stacks (OUTPUTS=file).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
