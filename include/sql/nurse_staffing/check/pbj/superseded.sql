-- PBJ records that a later one superseded, by upload: identical, or different in state, census or an hour.
-- A record is compared with the one that replaces it: the next one of the run, or else the one that silver keeps.
WITH records AS (
    SELECT
        lines.quarter,
        lines.upload_id,
        lines.ccn,
        lines.work_date,
        uploads.uploaded_at,
        lines.source_key,
        lines.line_number,
        concat(
            lines.state,
            ' ',
            coalesce(CAST(lines.census AS varchar), 'NULL'),
            ' ',
            array_join(transform(lines.hours, h -> CAST(CAST(h AS decimal(9, 2)) AS varchar)), ',', 'NULL')
        ) AS content
    FROM bronze_pbj AS lines
    INNER JOIN run_uploads AS uploads
        ON
            lines.quarter = uploads.slice
            AND lines.upload_id = uploads.upload_id
    WHERE
        uploads.pipeline = 'nurse_staffing.pbj'
        AND uploads.run = {{ run }}
        AND lines.run = {{ run }}
        AND lines.quarter IN ({{ slices }})
        AND lines.reject_reason IS NULL
),

followed AS (
    SELECT
        *,
        lead(content) OVER (
            PARTITION BY ccn, work_date
            ORDER BY uploaded_at ASC, source_key ASC, line_number ASC
        ) AS next_content
    FROM records
),

kept AS (
    SELECT
        ccn,
        CAST(work_date AS varchar) AS work_date,
        upload_id,
        source_key,
        source_line,
        concat(
            state,
            ' ',
            coalesce(CAST(census AS varchar), 'NULL'),
            ' ',
            array_join(
                ARRAY[
                    CAST(hrs_rndon AS varchar),
                    CAST(hrs_rndon_emp AS varchar),
                    CAST(hrs_rndon_ctr AS varchar),
                    CAST(hrs_rnadmin AS varchar),
                    CAST(hrs_rnadmin_emp AS varchar),
                    CAST(hrs_rnadmin_ctr AS varchar),
                    CAST(hrs_rn AS varchar),
                    CAST(hrs_rn_emp AS varchar),
                    CAST(hrs_rn_ctr AS varchar),
                    CAST(hrs_lpnadmin AS varchar),
                    CAST(hrs_lpnadmin_emp AS varchar),
                    CAST(hrs_lpnadmin_ctr AS varchar),
                    CAST(hrs_lpn AS varchar),
                    CAST(hrs_lpn_emp AS varchar),
                    CAST(hrs_lpn_ctr AS varchar),
                    CAST(hrs_cna AS varchar),
                    CAST(hrs_cna_emp AS varchar),
                    CAST(hrs_cna_ctr AS varchar),
                    CAST(hrs_natrn AS varchar),
                    CAST(hrs_natrn_emp AS varchar),
                    CAST(hrs_natrn_ctr AS varchar),
                    CAST(hrs_medaide AS varchar),
                    CAST(hrs_medaide_emp AS varchar),
                    CAST(hrs_medaide_ctr AS varchar)
                ],
                ',',
                'NULL'
            )
        ) AS content
    FROM staging_silver_pbj_daily
    WHERE
        run = {{ run }}
        AND quarter IN ({{ slices }})
)

SELECT
    followed.quarter AS slice,
    followed.upload_id,
    count_if(coalesce(followed.next_content, kept.content) = followed.content) AS superseded_identical,
    count_if(coalesce(followed.next_content, kept.content) <> followed.content) AS superseded_different
FROM followed
INNER JOIN kept
    ON
        followed.ccn = kept.ccn
        AND followed.work_date = kept.work_date
WHERE
    followed.next_content IS NOT NULL
    OR NOT (
        followed.upload_id = kept.upload_id
        AND followed.source_key = kept.source_key
        AND followed.line_number = kept.source_line
    )
GROUP BY
    followed.quarter,
    followed.upload_id
