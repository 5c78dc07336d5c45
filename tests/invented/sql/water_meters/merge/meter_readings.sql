-- Leaves each slice of the run with exactly the staged rows; a second time it changes nothing.
MERGE INTO meter_readings AS seen
USING (
    SELECT
        coalesce(staged.meter, present.meter) AS meter,
        coalesce(staged.month, present.month) AS month,
        staged.litres,
        staged.meter IS NULL AS gone
    FROM (
        SELECT
            meter,
            month,
            litres
        FROM staging_meter_readings
        WHERE run = {{ run }} AND month IN ({{ slices }})
    ) AS staged
    FULL OUTER JOIN (
        SELECT
            meter,
            month
        FROM meter_readings
        WHERE month IN ({{ slices }})
    ) AS present
        ON staged.meter = present.meter AND staged.month = present.month
) AS fresh
    ON seen.meter = fresh.meter AND seen.month = fresh.month
WHEN MATCHED AND fresh.gone THEN DELETE
WHEN MATCHED AND seen.litres IS DISTINCT FROM fresh.litres THEN UPDATE SET litres = fresh.litres
WHEN NOT MATCHED THEN INSERT (meter, month, litres) VALUES (fresh.meter, fresh.month, fresh.litres)
