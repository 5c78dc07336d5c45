-- Encounters of silver without a row in gold_stays, and infections without exactly one fate: none may be.
SELECT
    'gold_stays' AS table_name,
    silver.id
FROM silver_encounter AS silver
LEFT JOIN staging_gold_stays AS gold
    ON
        silver.id = gold.encounter_id
        AND gold.run = {{ run }}
WHERE gold.encounter_id IS NULL

UNION ALL

SELECT
    'gold_infection_events' AS table_name,
    silver.id
FROM silver_condition AS silver
LEFT JOIN staging_gold_infection_events AS gold
    ON
        silver.id = gold.condition_id
        AND gold.run = {{ run }}
WHERE
    silver.infection_type IS NOT NULL
    AND gold.fate IS NULL
