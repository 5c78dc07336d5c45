{{ config(materialized='table', format='parquet') }}

SELECT
    state,
    count(*) AS facilities,
    sum(employee_count) AS employees
FROM {{ source('medlaunch', 'facility_metrics') }}
WHERE snapshot_date = (SELECT max(snapshot_date) FROM {{ source('medlaunch', 'facility_metrics') }})
GROUP BY state
