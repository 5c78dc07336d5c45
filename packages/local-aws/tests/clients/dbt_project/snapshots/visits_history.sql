{% snapshot visits_history %}
{{ config(
    target_schema='clinics',
    unique_key='visit_id',
    strategy='check',
    check_cols=['cost'],
    table_type='iceberg'
) }}
SELECT visit_id, clinic, cost FROM {{ ref('visit_log') }}
{% endsnapshot %}
