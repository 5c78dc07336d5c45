{{ config(materialized='table', format='parquet', partitioned_by=['clinic']) }}

SELECT
    count(*) AS visits,
    sum(cost) AS cost,
    clinic
FROM {{ ref('recent_visits') }}
GROUP BY clinic
