-- Each facility in the quarters of the run as PBJ knows it on its latest day there, from silver as it will be.
-- gone: facilities that are published and that silver has not, as after a rollback of one of them.
UNLOAD (
    WITH ranked AS (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY quarter, ccn
                ORDER BY work_date DESC
            ) AS newest
        FROM staging_silver_pbj_daily
        WHERE
            run = {{ run }}
            AND quarter IN ({{ slices }})
    ),

    computed AS (
        SELECT
            ccn,
            work_date AS as_of,
            provider_name,
            city,
            county_name AS county,
            state,
            quarter
        FROM ranked
        WHERE newest = 1
    ),

    published AS (
        SELECT
            ccn,
            quarter
        FROM gold_pbj_facility
        WHERE quarter IN ({{ slices }})
    )

    SELECT
        coalesce(computed.ccn, published.ccn) AS ccn,
        computed.as_of,
        computed.provider_name,
        computed.city,
        computed.county,
        computed.state,
        computed.ccn IS NULL AS gone,
        coalesce(computed.quarter, published.quarter) AS quarter
    FROM computed
    FULL OUTER JOIN published
        ON
            computed.quarter = published.quarter
            AND computed.ccn = published.ccn
)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['quarter'])
