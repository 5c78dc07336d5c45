"""``python -m local_aws_tests.known_failures``: removes the mark from cases of the user guide that pass now."""

from __future__ import annotations

import uuid

from local_aws import serve
from local_aws_tests import cases
from local_aws_tests.harness import Athena, QueryFailedError, make_client


def main() -> None:
    everything = cases.load(cases.ATHENA)
    with serve() as server:
        bucket = f"cases-{uuid.uuid4().hex[:12]}"
        s3 = make_client(server.url, "s3")
        s3.create_bucket(Bucket=bucket)
        athena = Athena(make_client(server.url, "athena"), bucket, "default")
        runner = cases.Runner(athena, s3, make_client(server.url, "glue"), everything)
        for case in everything:
            if "known_failure" not in case:
                continue
            try:
                mended = runner.difference(case) is None
            except QueryFailedError:
                mended = False
            if mended:
                print(f"Mended: {cases.statement(case)[:100]}")
                del case["known_failure"]
    # What others changed meanwhile stays: only the marks are written.
    cases.save(everything, cases.ATHENA)


if __name__ == "__main__":
    main()
