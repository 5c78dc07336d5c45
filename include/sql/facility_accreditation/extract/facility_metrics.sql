UNLOAD (
    SELECT
        facilities.facility_id,
        facilities.facility_name,
        facilities.employee_count,
        facilities.number_of_offered_services,
        array_min(
            transform(
                filter(facilities.accreditations, a -> a.valid_until IS NOT NULL),
                a -> CAST(a.valid_until AS date)
            )
        ) AS expiry_date_of_first_accreditation,
        CAST(element_at(facilities.accreditations, 1).valid_until AS date) AS first_listed_accreditation_expiry,
        facilities.location.state AS state,
        facilities.snapshot_date
    FROM staging_facilities AS facilities
    WHERE
        facilities.run = {{ run }}
        AND facilities.snapshot_date IN ({{ slices }})
)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['snapshot_date'])
