-- HPRD on Saturdays and Sundays against Monday to Friday of each facility and quarter; holidays are days like others.
-- gap: weekend less weekday, from the exact ratios: a/b - c/d is (ad - cb) / bd.
CREATE OR REPLACE VIEW v_weekend_gap_facility_quarter AS
WITH sums AS (
    SELECT
        ccn,
        max_by(state, work_date) AS state,
        quarter,
        {% include 'nurse_staffing/views/weekend_sums.jinja' %}
    FROM gold_daily_staffing_fact
    GROUP BY
        ccn,
        quarter
)

SELECT
    ccn,
    state,
    quarter,
    {% include 'nurse_staffing/views/weekend_gaps.jinja' %}
FROM sums
