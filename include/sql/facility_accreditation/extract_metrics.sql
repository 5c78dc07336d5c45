UNLOAD (
    SELECT
        facility_id,
        facility_name,
        employee_count,
        number_of_offered_services,
        array_min(
            transform(
                filter(accreditations, a -> a.valid_until IS NOT NULL),
                a -> CAST(a.valid_until AS date)
            )
        ) AS expiry_date_of_first_accreditation,
        CAST(element_at(accreditations, 1).valid_until AS date) AS first_listed_accreditation_expiry,
        location.state AS state,
        snapshot_date
    FROM staging_facilities
    WHERE
        run = {{ run }}
        AND snapshot_date IN ({{ snapshots }})
)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['snapshot_date'])
