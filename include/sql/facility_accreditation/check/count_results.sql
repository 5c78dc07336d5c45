-- Rows of each result, counted in the files that are about to be published.
SELECT
    'facility_metrics' AS result,
    snapshot_date AS slice,
    count(*) AS result_rows,
    count(DISTINCT facility_id) AS facilities
FROM staging_facility_metrics
WHERE
    run = {{ run }}
    AND snapshot_date IN ({{ slices }})
GROUP BY snapshot_date

UNION ALL

SELECT
    'facility_rejects' AS result,
    snapshot_date AS slice,
    count(*) AS result_rows,
    count(DISTINCT facility_id) AS facilities
FROM staging_facility_rejects
WHERE
    run = {{ run }}
    AND snapshot_date IN ({{ slices }})
GROUP BY snapshot_date

UNION ALL

SELECT
    'accredited_facilities_by_state' AS result,
    snapshot_date AS slice,
    count(*) AS result_rows,
    sum(facilities) AS facilities
FROM staging_accredited_facilities_by_state
WHERE
    run = {{ run }}
    AND snapshot_date IN ({{ slices }})
GROUP BY snapshot_date

UNION ALL

SELECT
    'expiring_accreditations' AS result,
    snapshot_date AS slice,
    count(*) AS result_rows,
    count(DISTINCT facility_id) AS facilities
FROM staging_expiring_accreditations
WHERE
    run = {{ run }}
    AND snapshot_date IN ({{ slices }})
GROUP BY snapshot_date

UNION ALL

SELECT
    'expiring_facilities' AS result,
    snapshot_date AS slice,
    count(DISTINCT facility_id) AS result_rows,
    count(DISTINCT facility_id) AS facilities
FROM staging_expiring_accreditations
WHERE
    run = {{ run }}
    AND snapshot_date IN ({{ slices }})
GROUP BY snapshot_date
