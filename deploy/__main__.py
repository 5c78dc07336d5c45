"""``python -m deploy <command>``; ``make package`` and ``make deploy`` are the same commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3

from deploy import changes, environment, mwaa, package, preflight, protection
from deploy.aws import AwsFailed
from medlaunch.settings import SettingsError

EXPECTED = (
    environment.EnvironmentUnknown,
    SettingsError,
    AwsFailed,
    FileNotFoundError,
    mwaa.DeployRefused,
    mwaa.DeployFailed,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, or 1 after an error message."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.command(arguments)
    except EXPECTED as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy", description="Packages and deploys this repository to Amazon MWAA."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser("package", help="write the package for MWAA to dist/mwaa")
    one.set_defaults(command=_package)
    _common(one)
    one = commands.add_parser("mwaa", help="check, package, upload, and update MWAA")
    one.set_defaults(command=_mwaa)
    _common(one)
    one.add_argument("--code-bucket", help="bucket that MWAA reads (default: from the stacks)")
    one.add_argument("--checked", metavar="COMMIT", help="all checks have passed for this commit")
    one.add_argument("--dry-run", action="store_true", help="print the commands without running them")
    one = commands.add_parser("versions", help="print the parameters with which MWAA's stack is created")
    one.set_defaults(command=_versions)
    one.add_argument("--env", default="dev", help=f"one of: {', '.join(environment.names())}")
    one = commands.add_parser("preflight", help="find what would stop a deployment; changes nothing")
    one.set_defaults(command=_preflight)
    one.add_argument("--env", default="dev", help=f"one of: {', '.join(environment.names())}")
    one.add_argument("--templates", type=Path, default=changes.TEMPLATES, help="folder of the templates")
    one.add_argument("--zones", nargs=2, default=(), metavar="ZONE", help="of MWAA's network")
    one = commands.add_parser("changes", help="show what a deployment of the stacks would change")
    one.set_defaults(command=_changes)
    one.add_argument("--env", default="dev", help=f"one of: {', '.join(environment.names())}")
    one.add_argument("--templates", type=Path, default=changes.TEMPLATES, help="folder of the templates")
    one = commands.add_parser(
        "protect", help="switch on termination protection for a stack whose environment requires it"
    )
    one.set_defaults(command=_protect)
    one.add_argument("--env", default="dev", help=f"one of: {', '.join(environment.names())}")
    one.add_argument("--stack", required=True, help="boundary, lake, access or mwaa")
    one.add_argument("--templates", type=Path, default=changes.TEMPLATES, help="folder of the templates")
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
        print(f"startup.sh lacks {', '.join(absent)}: these are outputs of the stacks (OUTPUTS=file).")
    return 0


def _mwaa(arguments: argparse.Namespace) -> int:
    if arguments.outputs:
        outputs = environment.load_outputs(arguments.outputs)
    else:
        outputs = mwaa.stack_outputs(arguments.env)
    bucket = arguments.code_bucket
    target = mwaa.Target(bucket) if bucket else mwaa.find_target(arguments.env, outputs)
    mwaa.deploy(
        arguments.env,
        outputs,
        target=target,
        checked=arguments.checked,
        dry_run=arguments.dry_run,
        built=arguments.target,
    )
    return 0


def _versions(arguments: argparse.Namespace) -> int:
    print(*mwaa.first_versions(arguments.env, mwaa.stack_outputs(arguments.env)))
    return 0


def _preflight(arguments: argparse.Namespace) -> int:
    def client(service: str) -> Any:
        return boto3.client(service)  # type: ignore[call-overload]  # any service

    looked = preflight.Preflight(arguments.env, arguments.templates, client, arguments.zones)
    return 1 if preflight.show(looked) else 0


def _changes(arguments: argparse.Namespace) -> int:
    changes.show(arguments.env, arguments.templates)
    return 0


def _protect(arguments: argparse.Namespace) -> int:
    protection.protect(arguments.env, arguments.stack, arguments.templates)
    return 0


if __name__ == "__main__":
    sys.exit(main())
