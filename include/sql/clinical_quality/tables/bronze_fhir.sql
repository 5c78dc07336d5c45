-- Canonical versions of resources, one a line, accepted and rejected, as the uploads brought them.
-- The folder of an upload (dataset) says little about its types: a Bundle holds several. A query must name the run, so
-- that it reads nothing of earlier ones.
CREATE EXTERNAL TABLE IF NOT EXISTS bronze_fhir (
    resource_type string COMMENT 'Patient, Encounter or Condition; of rejected values whatever they say',
    id string COMMENT 'Id of the resource',
    last_updated string COMMENT 'meta.lastUpdated in UTC, sorts by time',
    version_id string COMMENT 'meta.versionId, if it is a number',
    version_rank string COMMENT 'Sorts versions by lastUpdated, then versionId',
    pseudonym string COMMENT 'Keyed hash of the id, which stands for it in published tables',
    key_id string COMMENT 'Which key made the pseudonyms',
    patient struct<
        identifiers: array<string>,
        gender: string,
        birth_date: string,
        deceased_date: string,
        deceased_instant: string,
        deceased_flag: boolean
    > COMMENT 'Elements of a Patient; columns as in silver_patient',
    encounter struct<
        status: string,
        void: boolean,
        class_codes: array<string>,
        type_codes: array<string>,
        service_codes: array<string>,
        priority_codes: array<string>,
        patient_ref: string,
        org_id: string,
        part_of: string,
        start_written: string,
        start_date: string,
        start_instant: string,
        end_written: string,
        end_date: string,
        end_instant: string,
        disposition: string,
        disposition_codings: array<string>,
        patient_pseudonym: string
    > COMMENT 'Elements of an Encounter; columns as in silver_encounter',
    condition struct<
        void: boolean,
        codings: array<string>,
        infection_type: string,
        verification: string,
        patient_ref: string,
        encounter_id: string,
        onset_written: string,
        onset_date: string,
        onset_instant: string,
        recorded_date: string,
        patient_pseudonym: string,
        encounter_pseudonym: string
    > COMMENT 'Elements of a Condition; columns as in silver_condition',
    reject_reason string COMMENT 'The first rule that the value broke; NULL if accepted',
    source_key string COMMENT 'S3 key of the upload',
    upload_id string COMMENT 'Version of the upload',
    line_number bigint COMMENT 'Line of the upload where the value begins',
    record_number bigint COMMENT 'Place of the value in the upload, from 1'
)
COMMENT 'Canonical FHIR resources of every upload, accepted and rejected'
PARTITIONED BY (
    dataset string COMMENT 'Folder below landing/fhir: patients, encounters, conditions or bundles',
    slice string COMMENT 'all',
    run string COMMENT 'Run that loaded the upload'
)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION {{ s3('bronze/fhir/') }}
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.dataset.type' = 'enum',
    'projection.dataset.values' = 'patients,encounters,conditions,bundles',
    'projection.slice.type' = 'enum',
    'projection.slice.values' = 'all',
    'projection.run.type' = 'injected',
    'storage.location.template' = {{ s3('bronze/fhir/${dataset}/slice=${slice}/run=${run}/') }}
)
