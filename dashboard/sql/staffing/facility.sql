-- One facility, as it was known last.
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
    overall_rating,
    inspection_rating,
    qm_rating,
    staffing_rating
FROM gold_facility_dim
WHERE ccn = :ccn
