-- Makes a slice of an Iceberg table what it was before the table held anything.
DELETE FROM {{ table }}
WHERE {{ slice_column }} = {{ slice }}
