-- Leaves the quarters of the run as they were computed; rows that did not change are not written again.
MERGE INTO gold_quarterly_provider_fact AS gold
USING (
    SELECT
        ccn,
        processing_date,
        staffing_quarter,
        state,
        beds,
        avg_residents,
        overall_rating,
        inspection_rating,
        qm_rating,
        staffing_rating,
        aide_hprd,
        lpn_hprd,
        rn_hprd,
        licensed_hprd,
        total_hprd,
        weekend_total_hprd,
        weekend_rn_hprd,
        adjusted_total_hprd,
        casemix_total_hprd,
        fines,
        fines_usd,
        payment_denials,
        penalties,
        special_focus_status,
        gone,
        quarter
    FROM staging_quarterly_provider_fact
    WHERE
        run = {{ run }}
        AND quarter IN ({{ slices }})
) AS staged
    ON
        gold.quarter IN ({{ slices }})
        AND gold.quarter = staged.quarter
        AND gold.ccn = staged.ccn
WHEN MATCHED AND staged.gone THEN DELETE
WHEN MATCHED AND (
    gold.processing_date IS DISTINCT FROM staged.processing_date
    OR gold.staffing_quarter IS DISTINCT FROM staged.staffing_quarter
    OR gold.state IS DISTINCT FROM staged.state
    OR gold.beds IS DISTINCT FROM staged.beds
    OR gold.avg_residents IS DISTINCT FROM staged.avg_residents
    OR gold.overall_rating IS DISTINCT FROM staged.overall_rating
    OR gold.inspection_rating IS DISTINCT FROM staged.inspection_rating
    OR gold.qm_rating IS DISTINCT FROM staged.qm_rating
    OR gold.staffing_rating IS DISTINCT FROM staged.staffing_rating
    OR gold.aide_hprd IS DISTINCT FROM staged.aide_hprd
    OR gold.lpn_hprd IS DISTINCT FROM staged.lpn_hprd
    OR gold.rn_hprd IS DISTINCT FROM staged.rn_hprd
    OR gold.licensed_hprd IS DISTINCT FROM staged.licensed_hprd
    OR gold.total_hprd IS DISTINCT FROM staged.total_hprd
    OR gold.weekend_total_hprd IS DISTINCT FROM staged.weekend_total_hprd
    OR gold.weekend_rn_hprd IS DISTINCT FROM staged.weekend_rn_hprd
    OR gold.adjusted_total_hprd IS DISTINCT FROM staged.adjusted_total_hprd
    OR gold.casemix_total_hprd IS DISTINCT FROM staged.casemix_total_hprd
    OR gold.fines IS DISTINCT FROM staged.fines
    OR gold.fines_usd IS DISTINCT FROM staged.fines_usd
    OR gold.payment_denials IS DISTINCT FROM staged.payment_denials
    OR gold.penalties IS DISTINCT FROM staged.penalties
    OR gold.special_focus_status IS DISTINCT FROM staged.special_focus_status
) THEN
    UPDATE
        SET
            processing_date = staged.processing_date,
            staffing_quarter = staged.staffing_quarter,
            state = staged.state,
            beds = staged.beds,
            avg_residents = staged.avg_residents,
            overall_rating = staged.overall_rating,
            inspection_rating = staged.inspection_rating,
            qm_rating = staged.qm_rating,
            staffing_rating = staged.staffing_rating,
            aide_hprd = staged.aide_hprd,
            lpn_hprd = staged.lpn_hprd,
            rn_hprd = staged.rn_hprd,
            licensed_hprd = staged.licensed_hprd,
            total_hprd = staged.total_hprd,
            weekend_total_hprd = staged.weekend_total_hprd,
            weekend_rn_hprd = staged.weekend_rn_hprd,
            adjusted_total_hprd = staged.adjusted_total_hprd,
            casemix_total_hprd = staged.casemix_total_hprd,
            fines = staged.fines,
            fines_usd = staged.fines_usd,
            payment_denials = staged.payment_denials,
            penalties = staged.penalties,
            special_focus_status = staged.special_focus_status
WHEN NOT MATCHED AND NOT staged.gone THEN INSERT (
    ccn,
    processing_date,
    staffing_quarter,
    state,
    beds,
    avg_residents,
    overall_rating,
    inspection_rating,
    qm_rating,
    staffing_rating,
    aide_hprd,
    lpn_hprd,
    rn_hprd,
    licensed_hprd,
    total_hprd,
    weekend_total_hprd,
    weekend_rn_hprd,
    adjusted_total_hprd,
    casemix_total_hprd,
    fines,
    fines_usd,
    payment_denials,
    penalties,
    special_focus_status,
    quarter
) VALUES (
    staged.ccn,
    staged.processing_date,
    staged.staffing_quarter,
    staged.state,
    staged.beds,
    staged.avg_residents,
    staged.overall_rating,
    staged.inspection_rating,
    staged.qm_rating,
    staged.staffing_rating,
    staged.aide_hprd,
    staged.lpn_hprd,
    staged.rn_hprd,
    staged.licensed_hprd,
    staged.total_hprd,
    staged.weekend_total_hprd,
    staged.weekend_rn_hprd,
    staged.adjusted_total_hprd,
    staged.casemix_total_hprd,
    staged.fines,
    staged.fines_usd,
    staged.payment_denials,
    staged.penalties,
    staged.special_focus_status,
    staged.quarter
)
