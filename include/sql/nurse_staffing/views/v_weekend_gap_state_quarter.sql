-- HPRD on Saturdays and Sundays against Monday to Friday of each state and quarter; holidays are days like others.
-- gap: weekend less weekday, from the exact ratios: a/b - c/d is (ad - cb) / bd.
CREATE OR REPLACE VIEW v_weekend_gap_state_quarter AS
WITH sums AS (
    SELECT
        state,
        quarter,
        {% include 'nurse_staffing/views/weekend_sums.jinja' %}
    FROM gold_daily_staffing_fact
    GROUP BY
        state,
        quarter
)

SELECT
    state,
    quarter,
    {% include 'nurse_staffing/views/weekend_gaps.jinja' %}
FROM sums
