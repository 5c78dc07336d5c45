{{ config(materialized='view') }}

SELECT visit_id, clinic, visited_on, cost
FROM {{ ref('visits') }}
WHERE visited_on >= DATE '{{ var("since", "2026-01-01") }}'
