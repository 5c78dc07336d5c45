{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    partitioned_by=['visited_on'],
    format='parquet'
) }}

SELECT
    clinic,
    count(*) AS visits,
    visited_on
FROM {{ ref('recent_visits') }}
GROUP BY clinic, visited_on
