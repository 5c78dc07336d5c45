-- Current encounters without a row in gold_stays, and infections without exactly one fate, by their pseudonyms: none may be.
WITH encounters AS (
    SELECT pseudonym
    FROM silver_encounter
    WHERE
        id NOT IN (
            SELECT new.id
            FROM staging_silver_encounter AS new
            WHERE
                new.run = {{ run }}
                AND new.slice IN ({{ slices }})
        )

    UNION ALL

    SELECT pseudonym
    FROM staging_silver_encounter
    WHERE
        run = {{ run }}
        AND slice IN ({{ slices }})
),

infections AS (
    SELECT pseudonym
    FROM silver_condition
    WHERE
        id NOT IN (
            SELECT new.id
            FROM staging_silver_condition AS new
            WHERE
                new.run = {{ run }}
                AND new.slice IN ({{ slices }})
        )
        AND infection_type IS NOT NULL

    UNION ALL

    SELECT pseudonym
    FROM staging_silver_condition
    WHERE
        run = {{ run }}
        AND slice IN ({{ slices }})
        AND infection_type IS NOT NULL
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
WHERE gold.fate IS NULL
