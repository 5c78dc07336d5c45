"""S3's answers and requests as compiled from the service model: what moto's serialiser and parser make of them too."""

from __future__ import annotations

import datetime as dt
import string
from typing import Any

import pytest
from botocore.parsers import RestXMLParser as AnswerParser
from botocore.serialize import RestXMLSerializer
from botocore.session import get_session
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.core.parse import RestXMLParser
from moto.core.serialize import S3Serializer
from moto.core.utils import get_service_model
from werkzeug.datastructures import Headers, MultiDict

from local_aws.s3.errors import S3Error
from local_aws.s3.wire import read, respond

MODEL = get_service_model("s3")
SDK = get_session().get_service_model("s3")

# What XML 1.0 can hold; keys with other characters are listed with encoding-type=url.
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"),
    min_size=1,
)
HEADER = st.text(string.ascii_letters + string.digits + '"-_/+=', min_size=1)
WHEN = st.integers(0, 4_000_000_000).map(lambda n: dt.datetime.fromtimestamp(n, dt.UTC))


def values(shape: Any, *, header: bool = False) -> st.SearchStrategy[Any]:
    """Any value of a shape of the model."""
    if shape.type_name == "structure":
        needed = {k: values(shape.members[k]) for k in shape.required_members}
        others = {k: values(v) for k, v in shape.members.items() if k not in needed}
        # moto leaves out what is empty.
        return st.fixed_dictionaries(needed, optional=others).filter(bool)
    if shape.type_name == "list":
        return st.lists(values(shape.member), min_size=1, max_size=3)
    simple: dict[str, st.SearchStrategy[Any]] = {
        "boolean": st.booleans(),
        "integer": st.integers(0, 10_000),
        "long": st.integers(0, 1 << 40),
        "timestamp": WHEN,
    }
    return simple.get(shape.type_name, HEADER if header else TEXT)


def parsed(operation: str, status: int, headers: Any, body: bytes) -> Any:
    output: Any = SDK.operation_model(operation).output_shape
    answer = AnswerParser().parse({"status_code": status, "headers": headers, "body": body}, output)
    del answer["ResponseMetadata"]
    return answer


ANSWERS = (
    *("ListObjects", "ListObjectsV2", "ListObjectVersions", "DeleteObjects", "CopyObject", "PutObject"),
    *("CreateMultipartUpload", "UploadPart", "UploadPartCopy", "CompleteMultipartUpload", "ListParts"),
    *("ListMultipartUploads", "DeleteObject"),
)


@pytest.mark.parametrize("operation", ANSWERS)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_an_answer_says_what_the_result_says(operation: str, data: st.DataObject) -> None:
    """An SDK reads out of it what was put in, and the same as out of moto's."""
    output: Any = MODEL.operation_model(operation).output_shape
    payload = output.serialization.get("payload")
    located = {k: v for k, v in output.members.items() if v.serialization.get("location") == "header"}
    inside = (
        output.members[payload].members
        if payload
        else {k: v for k, v in output.members.items() if k not in located}
    )
    headers = data.draw(
        st.fixed_dictionaries({}, optional={k: values(v, header=True) for k, v in located.items()})
    )
    body = data.draw(st.fixed_dictionaries({}, optional={k: values(v) for k, v in inside.items()}))
    answer = respond(operation, {**headers, **body})
    assert isinstance(answer.body, bytes)
    ours = parsed(operation, answer.status, dict(answer.headers), answer.body)
    theirs = S3Serializer(MODEL.operation_model(operation)).serialize(
        {**headers, payload: body} if payload else {**headers, **body}
    )
    text = theirs["body"]
    assert ours == parsed(operation, 200, theirs["headers"], text.encode() if isinstance(text, str) else text)
    for name, value in (ours.get(payload, {}) if payload else ours).items():
        asked = {**headers, **body}.get(name)
        if isinstance(asked, str | int | bool):
            assert value == asked, name


@pytest.mark.parametrize("operation", ["DeleteObjects", "CompleteMultipartUpload"])
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_request_is_read_as_moto_reads_it(operation: str, data: st.DataObject) -> None:
    model = MODEL.operation_model(operation)
    shape: Any = model.input_shape
    payload = shape.serialization["payload"]
    asked = data.draw(values(shape.members[payload]))
    others = (
        {"Bucket": "bucket"} if operation == "DeleteObjects" else {"Bucket": "b", "Key": "k", "UploadId": "1"}
    )
    request = RestXMLSerializer().serialize_to_request(
        {**others, payload: asked}, SDK.operation_model(operation)
    )
    body = request["body"] if isinstance(request["body"], bytes) else request["body"].read()
    theirs = RestXMLParser(model, timestamp_parser=str).parse(
        {
            "method": "POST",
            "values": MultiDict(),
            "headers": Headers(),
            "body": body,
            "url_path": "/",
            "url_params": {},
        }
    )
    assert read(operation, body) == theirs.get(payload, {})


def test_what_is_no_such_request_is_refused() -> None:
    for body in (b"", b"<Delete>", b"<Delete><Object><Key>a</Delete>"):
        with pytest.raises(S3Error, match="MalformedXML"):
            read("DeleteObjects", body)
    with pytest.raises(S3Error, match="MalformedXML"):
        read("CompleteMultipartUpload", b"<C><Part><PartNumber>one</PartNumber></Part></C>")
