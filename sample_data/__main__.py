"""``python -m sample_data <domain> ...``: write sample uploads."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sample_data import clinical, facilities, staffing

#: Sub-command -> the module that generates this domain.
DOMAINS = {"clinical": clinical, "facilities": facilities, "staffing": staffing}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status (2 for arguments that make no sense)."""
    parser = argparse.ArgumentParser(prog="python -m sample_data", description="Write seeded sample uploads.")
    domains = parser.add_subparsers(dest="domain", required=True, metavar="DOMAIN")
    for name, module in DOMAINS.items():
        summary = (module.__doc__ or "").partition("\n")[0]
        module.add_arguments(domains.add_parser(name, help=summary, description=summary))
    arguments = parser.parse_args(argv)
    try:
        print(DOMAINS[arguments.domain].run(arguments))
    except (ValueError, OSError) as error:
        print(f"{parser.prog} {arguments.domain}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
