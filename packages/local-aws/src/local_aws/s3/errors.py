"""S3's errors: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""

from __future__ import annotations


class S3Error(Exception):
    """An error answer of S3: HTTP status, code, message, headers, and further elements of the body."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: list[tuple[str, str]] | None = None,
        **fields: str,
    ) -> None:
        self.status, self.code, self.message = status, code, message
        self.headers = headers or []
        self.fields = fields
        super().__init__(f"{code}: {message}")


def no_such_key(key: str, headers: list[tuple[str, str]] | None = None) -> S3Error:
    return S3Error(404, "NoSuchKey", "The specified key does not exist.", headers, Key=key)


def precondition_failed(condition: str) -> S3Error:
    return S3Error(
        412,
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        Condition=condition,
    )


def malformed_xml() -> S3Error:
    return S3Error(
        400,
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
