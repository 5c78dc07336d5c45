"""What OpenLineage's parser is given of a statement."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.amazon.aws.operators.athena import AthenaOperator

from medlaunch.athena.operators import AthenaSqlOperator

QUERY = "SELECT facility_id, 'it''s) TO' AS x FROM bronze_facilities WHERE run IN ('r')"


@pytest.mark.parametrize(
    "statement", [QUERY, f"UNLOAD (\n    {QUERY}\n)\nTO 's3://lake/staging/r/'\nWITH (format = 'PARQUET')"]
)
def test_lineage_is_that_of_the_query(statement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AthenaOperator, "get_openlineage_facets_on_complete", lambda self, _: self.query)
    operator: Any = AthenaSqlOperator(
        task_id="extract", sql="facility_accreditation/extract/facilities.sql", pipeline="p"
    )
    operator.query = statement
    assert operator.get_openlineage_facets_on_complete(None) == QUERY
    assert operator.query == statement
