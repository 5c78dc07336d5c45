-- Accredited: at least one accreditation is still valid on as_of.
UNLOAD (
    WITH states (state_code, state_name) AS (
        VALUES {{ states }}
    )

    SELECT
        states.state_code,
        states.state_name,
        count_if(
            any_match(facilities.accreditations, a -> CAST(a.valid_until AS date) >= DATE {{ as_of }})
        ) AS accredited_facilities,
        count(*) AS facilities,
        DATE {{ as_of }} AS as_of,
        facilities.snapshot_date
    FROM staging_facilities AS facilities
    INNER JOIN states
        ON facilities.location.state = states.state_code
    WHERE
        facilities.run = {{ run }}
        AND facilities.snapshot_date IN ({{ slices }})
    GROUP BY
        facilities.snapshot_date,
        states.state_code,
        states.state_name
)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['snapshot_date'])
