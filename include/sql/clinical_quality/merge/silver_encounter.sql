-- The newest version wins, in whatever order versions come; the same one again changes nothing.
MERGE INTO silver_encounter AS old
USING (
    SELECT
        id,
        status,
        void,
        class_codes,
        type_codes,
        service_codes,
        priority_codes,
        patient_id,
        org_id,
        part_of,
        start_written,
        admit,
        start_instant,
        end_written,
        discharge,
        end_instant,
        disposition,
        disposition_codings,
        pseudonym,
        patient_pseudonym,
        key_id,
        last_updated,
        version_id,
        version_rank,
        uploaded_at,
        source_key,
        source_pos,
        upload_id,
        run AS run_id,
        slice
    FROM staging_silver_encounter
    WHERE
        run = {{ run }}
        AND slice IN ({{ slices }})
) AS new
    ON old.id = new.id
WHEN
MATCHED AND (
    new.version_rank > old.version_rank
    OR (
        new.version_rank = old.version_rank
        AND (
            new.uploaded_at > old.uploaded_at
            OR (
                new.uploaded_at = old.uploaded_at
                AND (
                    new.source_key > old.source_key
                    OR (new.source_key = old.source_key AND new.source_pos > old.source_pos)
                )
            )
        )
    )
)
THEN
    UPDATE
        SET
            status = new.status,
            void = new.void,
            class_codes = new.class_codes,
            type_codes = new.type_codes,
            service_codes = new.service_codes,
            priority_codes = new.priority_codes,
            patient_id = new.patient_id,
            org_id = new.org_id,
            part_of = new.part_of,
            start_written = new.start_written,
            admit = new.admit,
            start_instant = new.start_instant,
            end_written = new.end_written,
            discharge = new.discharge,
            end_instant = new.end_instant,
            disposition = new.disposition,
            disposition_codings = new.disposition_codings,
            pseudonym = new.pseudonym,
            patient_pseudonym = new.patient_pseudonym,
            key_id = new.key_id,
            last_updated = new.last_updated,
            version_id = new.version_id,
            version_rank = new.version_rank,
            uploaded_at = new.uploaded_at,
            source_key = new.source_key,
            source_pos = new.source_pos,
            upload_id = new.upload_id,
            run_id = new.run_id,
            slice = new.slice
WHEN NOT MATCHED
THEN INSERT (
    id,
    status,
    void,
    class_codes,
    type_codes,
    service_codes,
    priority_codes,
    patient_id,
    org_id,
    part_of,
    start_written,
    admit,
    start_instant,
    end_written,
    discharge,
    end_instant,
    disposition,
    disposition_codings,
    pseudonym,
    patient_pseudonym,
    key_id,
    last_updated,
    version_id,
    version_rank,
    uploaded_at,
    source_key,
    source_pos,
    upload_id,
    run_id,
    slice
)
VALUES (
    new.id,
    new.status,
    new.void,
    new.class_codes,
    new.type_codes,
    new.service_codes,
    new.priority_codes,
    new.patient_id,
    new.org_id,
    new.part_of,
    new.start_written,
    new.admit,
    new.start_instant,
    new.end_written,
    new.discharge,
    new.end_instant,
    new.disposition,
    new.disposition_codings,
    new.pseudonym,
    new.patient_pseudonym,
    new.key_id,
    new.last_updated,
    new.version_id,
    new.version_rank,
    new.uploaded_at,
    new.source_key,
    new.source_pos,
    new.upload_id,
    new.run_id,
    new.slice
)
