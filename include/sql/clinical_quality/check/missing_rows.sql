-- Current encounters without a row in gold_stays, and infections without exactly one fate, by their pseudonyms: none may be.
WITH encounters AS (
    {% set kind, columns = 'encounter', ['pseudonym'] -%}
    {% include 'clinical_quality/current_rows.jinja' %}
),

infections AS (
    {% set kind, columns = 'condition', ['pseudonym', 'infection_type'] -%}
    {% include 'clinical_quality/current_rows.jinja' %}
)

SELECT
    'gold_stays' AS table_name,
    encounters.pseudonym AS id
FROM encounters
LEFT JOIN staging_gold_stays AS gold
    ON
        encounters.pseudonym = gold.encounter_id
        AND gold.run = {{ run }}
WHERE gold.encounter_id IS NULL

UNION ALL

SELECT
    'gold_infection_events' AS table_name,
    infections.pseudonym AS id
FROM infections
LEFT JOIN staging_gold_infection_events AS gold
    ON
        infections.pseudonym = gold.condition_id
        AND gold.run = {{ run }}
WHERE
    infections.infection_type IS NOT NULL
    AND gold.fate IS NULL
