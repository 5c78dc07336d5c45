-- Resources that silver or gold holds more than once, by their pseudonyms: none may be.
SELECT
    'silver_patient' AS table_name,
    min(pseudonym) AS id,
    count(*) AS copies
FROM silver_patient
GROUP BY id
HAVING count(*) > 1

UNION ALL

SELECT
    'silver_encounter' AS table_name,
    min(pseudonym) AS id,
    count(*) AS copies
FROM silver_encounter
GROUP BY id
HAVING count(*) > 1

UNION ALL

SELECT
    'silver_condition' AS table_name,
    min(pseudonym) AS id,
    count(*) AS copies
FROM silver_condition
GROUP BY id
HAVING count(*) > 1

UNION ALL

SELECT
    'gold_stays' AS table_name,
    encounter_id AS id,
    count(*) AS copies
FROM staging_gold_stays
WHERE run = {{ run }}
GROUP BY encounter_id
HAVING count(*) > 1

UNION ALL

SELECT
    'gold_infection_events' AS table_name,
    condition_id AS id,
    count(*) AS copies
FROM staging_gold_infection_events
WHERE run = {{ run }}
GROUP BY condition_id
HAVING count(*) > 1
