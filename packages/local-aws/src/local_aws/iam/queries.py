"""Queries read and write the catalog and S3 with the permissions of their caller."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moto.core.exceptions import JsonRESTError

from local_aws.athena.catalog import Catalog
from local_aws.athena.errors import QueryError
from local_aws.athena.tables import Partition, Table
from local_aws.iam import kms
from local_aws.iam.callers import Caller
from local_aws.iam.enforcement import Iam, current
from local_aws.iam.objects import bucket_arn
from local_aws.iam.policies import Access, Denied
from local_aws.iam.services import glue_arns, workgroup_arn
from local_aws.objects import ObjectInfo, ObjectStore


@dataclass
class CallersStore:
    """S3 as a query's caller may use it."""

    store: ObjectStore
    iam: Iam
    caller: Caller
    region: str

    def _check(self, doing: str, accesses: Iterable[Access]) -> None:
        try:
            self.iam.check(self.caller, accesses)
        except Denied as error:
            raise QueryError("PERMISSION_DENIED", f"Access denied {doing}: {error}") from error

    def has_bucket(self, bucket: str) -> bool:
        self._check(f"to bucket {bucket}", [Access("s3:GetBucketLocation", bucket_arn(bucket))])
        return self.store.has_bucket(bucket)

    def objects(self, bucket: str, prefix: str) -> list[ObjectInfo]:
        where = f"on operation: ListObjects on s3://{bucket}/{prefix}"
        self._check(where, [Access("s3:ListBucket", bucket_arn(bucket), (("s3:prefix", prefix),))])
        found = self.store.objects(bucket, prefix)
        for one in found:
            self._check_read(bucket, one.key)
        return found

    def get(self, bucket: str, key: str) -> ObjectInfo | None:
        self._check_read(bucket, key)
        return self.store.get(bucket, key)

    def _check_read(self, bucket: str, key: str) -> None:
        self._check(
            f"on operation: GetObject on s3://{bucket}/{key}",
            [Access("s3:GetObject", f"{bucket_arn(bucket)}/{key}"), *kms.reading(bucket, self.region)],
        )

    def _check_write(self, bucket: str, key: str) -> None:
        # Athena writes in parts: https://docs.aws.amazon.com/athena/latest/ug/s3-permissions.html
        arn = f"{bucket_arn(bucket)}/{key}"
        self._check(
            f"when writing output to url: s3://{bucket}/{key}",
            [
                Access("s3:ListBucketMultipartUploads", bucket_arn(bucket)),
                *(
                    Access(action, arn)
                    for action in ("s3:PutObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload")
                ),
                *kms.writing(bucket, self.region, multipart=True),
            ],
        )

    def put_file(self, bucket: str, key: str, path: Path) -> None:
        self._check_write(bucket, key)
        self.store.put_file(bucket, key, path)

    def put_files(self, bucket: str, files: list[tuple[str, Path]]) -> None:
        for key, _ in files:
            self._check_write(bucket, key)
        self.store.put_files(bucket, files)

    def put_bytes(self, bucket: str, key: str, data: bytes) -> None:
        self._check_write(bucket, key)
        self.store.put_bytes(bucket, key, data)

    def delete(self, bucket: str, keys: list[str]) -> None:
        where = f"on operation: DeleteObject in s3://{bucket}"
        self._check(where, [Access("s3:DeleteObject", f"{bucket_arn(bucket)}/{key}") for key in keys])
        self.store.delete(bucket, keys)

    def location(self, path: str) -> str | None:
        return self.store.location(path)

    def pinned(self) -> AbstractContextManager[None]:
        return self.store.pinned()


class CallersCatalog(Catalog):
    """The Glue catalog as a query's caller may use it; the actions are those of AWS's page on Athena and Glue."""

    def __init__(self, catalog: Catalog, store: ObjectStore, iam: Iam, caller: Caller) -> None:
        self.__dict__.update(catalog.__dict__)
        # Iceberg tables keep their metadata on S3.
        self._store, self.iam, self.caller = store, iam, caller

    def _may(self, action: str, database: str | None = None, table: str | None = None, *more: str) -> None:
        """`more`: ARNs of further resources that an action is on."""
        arns = [*glue_arns(self.region, database, table), *more]
        try:
            self.iam.check(
                self.caller,
                [*(Access(f"glue:{action}", arn) for arn in arns), *kms.catalog(action, self.region)],
            )
        except Denied as error:
            raise QueryError("", f"Insufficient permissions to execute the query. {error}") from error

    def open(self) -> None:
        """Athena looks for the database `default` before any statement, and makes it where there is none.

        "Mandatory: Access policy to the Default database and catalog per AWS Region", and its newer form, in
        https://docs.aws.amazon.com/athena/latest/ug/fine-grained-access-to-glue-resources.html
        """
        self._may("GetDatabase", "default")
        if "default" not in self.glue.databases:
            self._may("CreateDatabase", "default")
            with suppress(JsonRESTError):  # another query was faster
                super().create_database("default", "Default Hive database", None, {})

    def databases(self) -> list[dict[str, Any]]:
        self._may("GetDatabases", "*")
        return super().databases()

    def has_database(self, name: str) -> bool:
        self._may("GetDatabase", name.lower())
        return super().has_database(name)

    def database(self, name: str) -> dict[str, Any]:
        self._may("GetDatabase", name.lower())
        return super().database(name)

    def create_database(
        self, name: str, description: str | None, location: str | None, parameters: dict[str, str]
    ) -> None:
        self._may("CreateDatabase", name)
        super().create_database(name, description, location, parameters)

    def drop_database(self, name: str) -> None:
        # A delete needs its permission on all descendants too.
        root = f"arn:aws:glue:{self.region}:{self.account}"
        functions = f"{root}:userDefinedFunction/{name}/*"
        if super().tables(name):
            self._may("GetTable", name, "*")
            self._may("DeleteTable", name, "*")
        self._may("DeleteDatabase", name, "*", functions)
        super().drop_database(name)

    def set_database_properties(self, name: str, parameters: dict[str, str]) -> None:
        self._may("UpdateDatabase", name)
        super().set_database_properties(name, parameters)

    def tables(self, database: str) -> list[Table]:
        self._may("GetTables", database, "*")
        return super().tables(database)

    def find(self, database: str, name: str) -> Table | None:
        self._may("GetTable", database.lower(), name.lower())
        return super().find(database, name)

    def create_table(self, database: str, entry: dict[str, Any]) -> None:
        name = str(entry["Name"])
        self._may("GetDatabases", database)
        for action in ("GetTables", "GetPartitions", "CreateTable"):
            self._may(action, database, name)
        super().create_table(database, entry)

    def update_table(self, table: Table, entry: dict[str, Any]) -> None:
        self._may("UpdateTable", table.database, table.name)
        super().update_table(table, entry)

    def replace_table(self, table: Table, entry: dict[str, Any], version: str) -> None:
        self._may("UpdateTable", table.database, table.name)
        super().replace_table(table, entry, version)

    def drop_table(self, table: Table) -> None:
        for action in ("GetPartitions", "GetPartition", "DeletePartition") if table.partition_keys else ():
            self._may(action, table.database, table.name)
        self._may("DeleteTable", table.database, table.name)
        super().drop_table(table)

    def partitions(self, table: Table) -> list[Partition]:
        self._may("GetPartitions", table.database, table.name)
        return super().partitions(table)

    def add_partitions(
        self, table: Table, partitions: Iterable[Partition], *, replace: bool = False
    ) -> list[Partition]:
        for action in ("GetPartition", "BatchCreatePartition", *(["UpdatePartition"] if replace else [])):
            self._may(action, table.database, table.name)
        return super().add_partitions(table, partitions, replace=replace)

    def drop_partition(self, table: Table, partition: Partition) -> None:
        self._may("DeletePartition", table.database, table.name)
        super().drop_partition(table, partition)


def for_caller(catalog: Catalog, store: ObjectStore) -> tuple[Catalog, ObjectStore]:
    """The catalog and the store as whoever asks now may use them; themselves for the administrator."""
    asking = current.get()
    if asking is None:
        return catalog, store
    iam, caller = asking
    seen = CallersStore(store, iam, caller, catalog.region)
    return CallersCatalog(catalog, seen, iam, caller), seen


def permit(region: str, workgroup: str, action: str) -> None:
    """Whether the caller of the query that runs may do something in its workgroup. Raises QueryError.

    https://docs.aws.amazon.com/athena/latest/ug/security-iam-athena-prepared-statements.html
    """
    asking = current.get()
    if asking is None:
        return
    iam, caller = asking
    try:
        iam.check(caller, [Access(f"athena:{action}", workgroup_arn(region, workgroup))])
    except Denied as error:
        raise QueryError("PERMISSION_DENIED", str(error)) from error
