from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.medlaunch.publish.lakes import RESULTS, Lake


@pytest.fixture
def glue(aws: Any) -> Any:
    return aws("glue")


@pytest.fixture
def database(glue: Any, bucket: str) -> str:
    name = f"db_{uuid.uuid4().hex[:8]}"
    glue.create_database(DatabaseInput={"Name": name})
    for result in RESULTS:
        if result.table:
            glue.create_table(
                DatabaseName=name,
                TableInput={
                    "Name": result.table,
                    "PartitionKeys": [{"Name": "snapshot_date", "Type": "date"}],
                    "StorageDescriptor": {
                        "Columns": [{"Name": "a", "Type": "string"}],
                        "Location": f"s3://{bucket}/prod/{result.name}/",
                        "SerdeInfo": {"SerializationLibrary": "x"},
                    },
                },
            )
    return name


@pytest.fixture
def lake(s3: Any, glue: Any, bucket: str, database: str) -> Lake:
    return Lake(s3, glue, bucket, database)
