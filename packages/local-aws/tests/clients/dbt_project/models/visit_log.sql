{{ config(
    materialized='incremental',
    table_type='iceberg',
    incremental_strategy='merge',
    unique_key='visit_id',
    format='parquet'
) }}

SELECT
    visit_id,
    clinic,
    visited_on,
    CAST(cost * {{ var("factor", "1") }} AS decimal(10, 2)) AS cost
FROM {{ ref('recent_visits') }}
{% if is_incremental() %}
WHERE visited_on >= DATE '2026-01-02'
UNION ALL
SELECT 4 AS visit_id, 'east' AS clinic, DATE '2026-01-03' AS visited_on, CAST(1 AS decimal(10, 2)) AS cost
{% endif %}
