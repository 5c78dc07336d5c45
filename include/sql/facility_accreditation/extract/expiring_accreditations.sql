-- One row per accreditation with as_of <= valid_until <= window_end: what the expiry filter finds, as a table.
UNLOAD (
    SELECT
        facilities.facility_id,
        facilities.facility_name,
        facilities.location.address AS address,
        facilities.location.city AS city,
        facilities.location.state AS state,
        facilities.location.zip AS zip,
        facilities.employee_count,
        listed.accreditation_body,
        listed.accreditation_id,
        CAST(listed.valid_until AS date) AS valid_until,
        date_diff('day', DATE {{ as_of }}, CAST(listed.valid_until AS date)) AS days_until_expiry,
        DATE {{ as_of }} AS run_date,
        facilities.snapshot_date
    FROM staging_facilities AS facilities
    CROSS JOIN
        UNNEST(
            transform(facilities.accreditations, x -> x.accreditation_body),
            transform(facilities.accreditations, x -> x.accreditation_id),
            transform(facilities.accreditations, x -> x.valid_until)
        ) AS listed (accreditation_body, accreditation_id, valid_until)
    WHERE
        facilities.run = {{ run }}
        AND facilities.snapshot_date IN ({{ slices }})
        AND CAST(listed.valid_until AS date) BETWEEN DATE {{ as_of }} AND DATE {{ window_end }}
)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['snapshot_date'])
