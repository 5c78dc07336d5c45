"""What moto's CloudFormation leaves out or makes wrongly, of the services whose state is kept here.

moto reports CREATE_COMPLETE for a type that it does not know, and for a property that it ignores. Mended are: a Glue
database is made at all; a bucket's versioning is what the template says; a KMS key can be described, because its
policy is kept as text and its tags as KMS has them; a stack has the outputs of the change set that made it. Other types that moto does not know are named in the log.
"""

from __future__ import annotations

import json
from typing import Any

from moto.cloudformation.models import ChangeSet, cloudformation_backends
from moto.core.common_models import CloudFormationModel
from moto.glue.models import glue_backends
from moto.kms.models import Key
from moto.s3.models import FakeBucket, s3_backends
from moto.utilities.utils import get_partition


class GlueDatabase(CloudFormationModel):
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-glue-database.html

    moto finds it among the subclasses of CloudFormationModel.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def physical_resource_id(self) -> str:
        return self.name

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::Glue::Database"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return False

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **kwargs: Any
    ) -> GlueDatabase:
        name, wanted = cls._wanted(resource_name, cloudformation_json)
        glue_backends[account_id][region_name].create_database(name, wanted)
        return cls(name)

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: Any,
        new_resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
    ) -> GlueDatabase:
        name, wanted = cls._wanted(original_resource.name, cloudformation_json)
        backend = glue_backends[account_id][region_name]
        if name == original_resource.name:
            backend.update_database(name, wanted)
        else:
            backend.create_database(name, wanted)
            backend.delete_database(original_resource.name)
        return cls(name)

    @classmethod
    def delete_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str
    ) -> None:
        backend = glue_backends[account_id][region_name]
        if resource_name in backend.databases:
            backend.delete_database(resource_name)

    @staticmethod
    def _wanted(fallback: str, cloudformation_json: Any) -> tuple[str, dict[str, Any]]:
        properties = cloudformation_json.get("Properties", {})
        wanted = dict(properties.get("DatabaseInput") or {})
        # A database without a name gets that of its resource, in the lower case that Glue wants.
        name = str(properties.get("DatabaseName") or wanted.get("Name") or fallback).lower()
        return name, {**wanted, "Name": name}


def _key(properties: dict[str, Any]) -> dict[str, Any]:
    """A key's properties as moto's KMS keeps them."""
    kept = dict(properties)
    if not isinstance(kept.get("KeyPolicy"), str):
        kept["KeyPolicy"] = json.dumps(kept.get("KeyPolicy") or {})
    kept["Tags"] = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in kept.get("Tags") or []]
    return kept


def _set_versioning(bucket: FakeBucket, cloudformation_json: Any, account_id: str, region_name: str) -> None:
    wanted = (cloudformation_json.get("Properties") or {}).get("VersioningConfiguration")
    if wanted:
        backend = s3_backends[account_id][get_partition(region_name)]
        backend.put_bucket_versioning(bucket.name, wanted["Status"])


_create_key = Key.create_from_cloudformation_json.__func__  # type: ignore[attr-defined]
_create_bucket = FakeBucket.create_from_cloudformation_json.__func__  # type: ignore[attr-defined]
_apply_change_set = ChangeSet.apply
_update_bucket = FakeBucket.update_from_cloudformation_json.__func__  # type: ignore[attr-defined]


def install() -> None:
    """From now on moto's CloudFormation makes keys and buckets in this module's way. Once is enough."""

    def create_key(
        cls: Any,
        resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
        **kwargs: Any,
    ) -> Any:
        kept = {**cloudformation_json, "Properties": _key(cloudformation_json["Properties"])}
        return _create_key(cls, resource_name, kept, account_id, region_name, **kwargs)

    def create_bucket(
        cls: Any,
        resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
        **kwargs: Any,
    ) -> Any:
        made = _create_bucket(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs)
        _set_versioning(made, cloudformation_json, account_id, region_name)
        return made

    def update_bucket(
        cls: Any,
        original_resource: Any,
        new_resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
    ) -> Any:
        made = _update_bucket(
            cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name
        )
        _set_versioning(made, cloudformation_json, account_id, region_name)
        return made

    def apply_change_set(change_set: ChangeSet) -> None:
        _apply_change_set(change_set)
        stack = change_set.stack
        stack.template = change_set.template
        stack._parse_template()
        stack.description = stack.template_dict.get("Description")
        stack.output_map = stack._create_output_map()
        if change_set.parameters:
            stack.parameters = change_set.parameters
        backend = cloudformation_backends[stack.account_id][stack.region_name]
        backend.exports.update({export.name: export for export in stack.exports})

    ChangeSet.apply = apply_change_set  # type: ignore[assignment,method-assign]
    Key.create_from_cloudformation_json = classmethod(create_key)  # type: ignore[assignment,method-assign]
    FakeBucket.create_from_cloudformation_json = classmethod(create_bucket)  # type: ignore[assignment,method-assign]
    FakeBucket.update_from_cloudformation_json = classmethod(update_bucket)  # type: ignore[assignment,method-assign]
