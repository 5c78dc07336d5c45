-- Makes a slice of an Iceberg table what it was at a snapshot: rows that were changed are changed back, rows that came
-- since are deleted, rows that were deleted come back. Where nothing differs, nothing is committed.
-- noqa: disable=all
MERGE INTO {{ table }} AS seen
USING (
    SELECT
        {%- for key in keys %}
        coalesce(earlier.{{ key }}, later.{{ key }}) AS {{ key }},
        {%- endfor %}
        {%- for column in values %}
        earlier.{{ column }},
        {%- endfor %}
        earlier.{{ slice_column }} IS NULL AS gone
    FROM (
        SELECT *
        FROM {{ table }} FOR VERSION AS OF {{ snapshot }}
        WHERE {{ slice_column }} = {{ slice }}
    ) AS earlier
    FULL OUTER JOIN (
        SELECT *
        FROM {{ table }}
        WHERE {{ slice_column }} = {{ slice }}
    ) AS later
        ON {% for key in keys %}{% if not loop.first %} AND {% endif %}earlier.{{ key }} = later.{{ key }}{% endfor %}
) AS restored
    ON
        seen.{{ slice_column }} = {{ slice }}
        {%- for key in keys %}
        AND seen.{{ key }} = restored.{{ key }}
        {%- endfor %}
WHEN MATCHED AND restored.gone THEN DELETE
{%- if values %}
WHEN MATCHED AND (
    {%- for column in values %}
    {% if not loop.first %}OR {% endif %}seen.{{ column }} IS DISTINCT FROM restored.{{ column }}
    {%- endfor %}
) THEN UPDATE SET
    {%- for column in values %}
    {{ column }} = restored.{{ column }}{% if not loop.last %},{% endif %}
    {%- endfor %}
{%- endif %}
WHEN NOT MATCHED THEN INSERT (
    {%- for column in columns %}{% if not loop.first %}, {% endif %}{{ column }}{% endfor -%}
) VALUES (
    {%- for column in columns %}
    {%- if not loop.first %}, {% endif %}{% if column == slice_column %}{{ slice }}{% else %}restored.{{ column }}{% endif %}
    {%- endfor -%}
)
