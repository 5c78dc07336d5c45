-- Canonical records of Provider Information, one per line, as the uploads brought them. Decimals are text, which any
-- SerDe reads exactly. A query must name the run and the quarters it wants: run = '...' AND quarter IN ('2024Q4').
CREATE EXTERNAL TABLE IF NOT EXISTS bronze_provider_info (
    ccn string COMMENT 'CMS Certification Number, 6 characters',
    processing_date string COMMENT 'Day on which CMS drew the data; names the monthly snapshot',
    provider_name string COMMENT 'Name of the facility',
    address string COMMENT 'Street address',
    city string COMMENT 'City',
    state string COMMENT 'Two-letter code',
    zip string COMMENT 'ZIP code',
    county string COMMENT 'County',
    ownership_type string COMMENT 'Who owns the facility',
    certified_beds bigint COMMENT 'Certified beds',
    avg_residents string COMMENT 'Average residents per day',
    avg_residents_footnote string COMMENT 'Footnote codes of avg_residents',
    overall_rating bigint COMMENT 'Overall rating, 1 to 5 stars',
    overall_rating_footnote string COMMENT 'Footnote codes of overall_rating',
    inspection_rating bigint COMMENT 'Health inspection rating, 1 to 5 stars',
    inspection_rating_footnote string COMMENT 'Footnote codes of inspection_rating',
    qm_rating bigint COMMENT 'Quality measures rating, 1 to 5 stars',
    qm_rating_footnote string COMMENT 'Footnote codes of qm_rating',
    staffing_rating bigint COMMENT 'Staffing rating, 1 to 5 stars',
    staffing_rating_footnote string COMMENT 'Footnote codes of staffing_rating',
    reported_staffing_footnote string COMMENT 'Footnote codes of the reported hours',
    aide_hprd string COMMENT 'Nurse aide hours per resident and day, as CMS reports them',
    lpn_hprd string COMMENT 'LPN hours per resident and day, as CMS reports them',
    rn_hprd string COMMENT 'RN hours per resident and day, as CMS reports them',
    licensed_hprd string COMMENT 'RN and LPN hours per resident and day, as CMS reports them',
    total_hprd string COMMENT 'All nursing hours per resident and day, as CMS reports them',
    weekend_total_hprd string COMMENT 'All nursing, on weekends, hours per resident and day, as CMS reports them',
    weekend_rn_hprd string COMMENT 'RN, on weekends, hours per resident and day, as CMS reports them',
    adjusted_total_hprd string COMMENT 'All nursing hours per resident and day, adjusted for case mix',
    casemix_total_hprd string COMMENT 'All nursing hours per resident and day that CMS expects for the case mix',
    fines bigint COMMENT 'Fines',
    fines_usd string COMMENT 'Fines in US dollars',
    payment_denials bigint COMMENT 'Denials of payment',
    penalties bigint COMMENT 'Fines and denials of payment',
    special_focus_status string COMMENT 'SFF, SFF Candidate or NULL',
    chain_name string COMMENT 'Chain or affiliated entity',
    latitude string COMMENT 'Degrees north',
    longitude string COMMENT 'Degrees east',
    location_footnote string COMMENT 'Footnote codes of latitude and longitude',
    fields_invalid bigint COMMENT 'Fields that could not be read and are NULL',
    reject_reason string COMMENT 'The first rule that the record broke; NULL if accepted. A rejected record has nothing else',
    source_key string COMMENT 'S3 key of the upload; in a zip, its key, ! and the member',
    upload_id string COMMENT 'Version of the upload',
    line_number bigint COMMENT 'Line of the file where the record begins'
)
COMMENT 'Canonical records of every Provider Information upload, accepted and rejected'
PARTITIONED BY (
    quarter string COMMENT 'Calendar quarter, such as 2024Q2; unknown for records that name none',
    run string COMMENT 'Run that loaded the upload'
)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION {{ s3('bronze/provider_info/') }}
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.quarter.type' = 'injected',
    'projection.run.type' = 'injected',
    'storage.location.template' = {{ s3('bronze/provider_info/quarter=${quarter}/run=${run}/') }}
)
