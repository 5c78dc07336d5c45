-- Keys that made the pseudonyms of current resources: there may be one. With two, a person would be two.
SELECT
    key_id,
    count(*) AS resources
FROM (
    {% set kind, columns = 'patient', ['key_id'] -%}
    {% include 'clinical_quality/current_rows.jinja' %}

    UNION ALL

    {% set kind, columns = 'encounter', ['key_id'] -%}
    {% include 'clinical_quality/current_rows.jinja' %}

    UNION ALL

    {% set kind, columns = 'condition', ['key_id'] -%}
    {% include 'clinical_quality/current_rows.jinja' %}
) AS resources
GROUP BY key_id
