-- One partition per snapshot. A publication replaces those that it changed:
-- dbt build --vars '{"slices": ["2026-11-01"]}', with the slices of the asset event.
{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    partitioned_by=['snapshot_date'],
    format='parquet'
) }}

SELECT
    accreditation_body,
    count(*) AS renewals,
    min(valid_until) AS first_due,
    snapshot_date
FROM {{ source('medlaunch', 'expiring_accreditations') }}
{% if is_incremental() and var('slices') %}
WHERE snapshot_date IN ({% for slice in var('slices') %}DATE '{{ slice }}'{{ ', ' if not loop.last }}{% endfor %})
{% endif %}
GROUP BY accreditation_body, snapshot_date
