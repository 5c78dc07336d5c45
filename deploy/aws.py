"""The AWS CLI of this environment. Its commands can be printed as a person would type them."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

_AWS = Path(sys.executable).with_name("aws")


class AwsFailed(RuntimeError):
    """A command failed; the message has the command and its error."""


class Aws:
    """Runs AWS CLI commands, or only prints them in a dry run."""

    def __init__(self, *, dry_run: bool = False):
        self.dry_run = dry_run

    def do(self, *arguments: str | Path) -> str:
        """Print and run a command that changes something; returns its output. A dry run only prints it, and returns ''."""
        words = [str(one) for one in arguments]
        print(f"aws {shlex.join(words)}", flush=True)
        return "" if self.dry_run else self.run(*words)

    def ask(self, *arguments: str | Path) -> Any:
        """Run a read-only command; returns its parsed JSON, or None if the resource does not exist."""
        try:
            return json.loads(self.run(*arguments, "--output", "json") or "null")
        except AwsFailed as error:
            if any(code in str(error) for code in ("(404)", "NoSuchKey", "ResourceNotFoundException")):
                return None
            raise

    def run(self, *arguments: str | Path) -> str:
        """Run a command; returns its output."""
        words = [str(one) for one in arguments]
        run = subprocess.run([_AWS, *words], capture_output=True, text=True, check=False)
        if run.returncode:
            raise AwsFailed(f"aws {shlex.join(words)}\n{run.stderr.strip()}")
        return run.stdout
