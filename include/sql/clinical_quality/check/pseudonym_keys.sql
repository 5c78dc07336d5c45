-- Keys that made the pseudonyms of current resources: there may be one. With two, a person would be two.
SELECT
    key_id,
    count(*) AS resources
FROM (
    SELECT key_id
    FROM silver_patient
    WHERE
        id NOT IN (
            SELECT new.id
            FROM staging_silver_patient AS new
            WHERE
                new.run = {{ run }}
                AND new.slice IN ({{ slices }})
        )

    UNION ALL

    SELECT key_id
    FROM staging_silver_patient
    WHERE
        run = {{ run }}
        AND slice IN ({{ slices }})

    UNION ALL

    SELECT key_id
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

    SELECT key_id
    FROM staging_silver_encounter
    WHERE
        run = {{ run }}
        AND slice IN ({{ slices }})

    UNION ALL

    SELECT key_id
    FROM silver_condition
    WHERE
        id NOT IN (
            SELECT new.id
            FROM staging_silver_condition AS new
            WHERE
                new.run = {{ run }}
                AND new.slice IN ({{ slices }})
        )

    UNION ALL

    SELECT key_id
    FROM staging_silver_condition
    WHERE
        run = {{ run }}
        AND slice IN ({{ slices }})
) AS resources
GROUP BY key_id
