-- A facility keeps what is known of it until something later comes: a snapshot before a day in PBJ, then by date.
MERGE INTO gold_facility_dim AS gold
USING (
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
    FROM staging_facility_dim
    WHERE run = {{ run }}
) AS staged
    ON gold.ccn = staged.ccn
WHEN MATCHED AND (
    (staged.in_provider_info AND NOT gold.in_provider_info)
    OR (staged.in_provider_info = gold.in_provider_info AND staged.as_of >= gold.as_of)
) AND (
    gold.in_provider_info IS DISTINCT FROM staged.in_provider_info
    OR gold.as_of IS DISTINCT FROM staged.as_of
    OR gold.provider_name IS DISTINCT FROM staged.provider_name
    OR gold.address IS DISTINCT FROM staged.address
    OR gold.city IS DISTINCT FROM staged.city
    OR gold.county IS DISTINCT FROM staged.county
    OR gold.state IS DISTINCT FROM staged.state
    OR gold.zip IS DISTINCT FROM staged.zip
    OR gold.ownership_type IS DISTINCT FROM staged.ownership_type
    OR gold.chain_name IS DISTINCT FROM staged.chain_name
    OR gold.latitude IS DISTINCT FROM staged.latitude
    OR gold.longitude IS DISTINCT FROM staged.longitude
    OR gold.overall_rating IS DISTINCT FROM staged.overall_rating
    OR gold.inspection_rating IS DISTINCT FROM staged.inspection_rating
    OR gold.qm_rating IS DISTINCT FROM staged.qm_rating
    OR gold.staffing_rating IS DISTINCT FROM staged.staffing_rating
) THEN
    UPDATE
        SET
            in_provider_info = staged.in_provider_info,
            as_of = staged.as_of,
            provider_name = staged.provider_name,
            address = staged.address,
            city = staged.city,
            county = staged.county,
            state = staged.state,
            zip = staged.zip,
            ownership_type = staged.ownership_type,
            chain_name = staged.chain_name,
            latitude = staged.latitude,
            longitude = staged.longitude,
            overall_rating = staged.overall_rating,
            inspection_rating = staged.inspection_rating,
            qm_rating = staged.qm_rating,
            staffing_rating = staged.staffing_rating
WHEN NOT MATCHED THEN INSERT (
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
) VALUES (
    staged.ccn,
    staged.in_provider_info,
    staged.as_of,
    staged.provider_name,
    staged.address,
    staged.city,
    staged.county,
    staged.state,
    staged.zip,
    staged.ownership_type,
    staged.chain_name,
    staged.latitude,
    staged.longitude,
    staged.overall_rating,
    staged.inspection_rating,
    staged.qm_rating,
    staged.staffing_rating
)
