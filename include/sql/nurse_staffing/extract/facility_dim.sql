-- Of the facilities in the quarters of the run, what is known last: the latest snapshot, or else the latest day in PBJ.
-- The MERGE compares it with what is known already, so that other quarters need not be read.
UNLOAD (
    WITH known AS (
        SELECT
            ccn,
            TRUE AS in_provider_info,
            processing_date AS as_of,
            provider_name,
            address,
            city,
            county,
            state,
            zip,
            ownership_type,
            chain_name,
            latitude,
            longitude,
            overall_rating,
            inspection_rating,
            qm_rating,
            staffing_rating
        FROM staging_provider_info
        WHERE
            run = {{ run }}
            AND quarter IN ({{ slices }})

        UNION ALL

        SELECT
            ccn,
            FALSE AS in_provider_info,
            work_date AS as_of,
            provider_name,
            CAST(NULL AS varchar) AS address,
            city,
            county_name AS county,
            state,
            CAST(NULL AS varchar) AS zip,
            CAST(NULL AS varchar) AS ownership_type,
            CAST(NULL AS varchar) AS chain_name,
            CAST(NULL AS decimal(9, 6)) AS latitude,
            CAST(NULL AS decimal(9, 6)) AS longitude,
            CAST(NULL AS integer) AS overall_rating,
            CAST(NULL AS integer) AS inspection_rating,
            CAST(NULL AS integer) AS qm_rating,
            CAST(NULL AS integer) AS staffing_rating
        FROM staging_pbj_daily
        WHERE
            run = {{ run }}
            AND quarter IN ({{ slices }})
    ),

    ranked AS (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY ccn
                ORDER BY in_provider_info DESC, as_of DESC
            ) AS newest
        FROM known
    )

    SELECT
        ccn,
        in_provider_info,
        as_of,
        provider_name,
        address,
        city,
        county,
        state,
        zip,
        ownership_type,
        chain_name,
        latitude,
        longitude,
        overall_rating,
        inspection_rating,
        qm_rating,
        staffing_rating
    FROM ranked
    WHERE newest = 1
)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY')
