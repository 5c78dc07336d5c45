SELECT visit_id
FROM {{ ref('visit_log') }}
WHERE cost <= {{ var("at_most", "0") }}
