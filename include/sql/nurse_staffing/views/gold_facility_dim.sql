-- Each facility as it was known last: in the latest snapshot of Provider Information, or else on its latest day in PBJ.
-- A view, so that it is what the quarters say, also after one of them was restated or rolled back.
CREATE OR REPLACE VIEW gold_facility_dim AS
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
    FROM silver_provider_info

    UNION ALL

    SELECT
        ccn,
        FALSE AS in_provider_info,
        as_of,
        provider_name,
        CAST(NULL AS varchar) AS address,
        city,
        county,
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
    FROM gold_pbj_facility
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
