"""CloudFormation resource types that ministack lacks: accepted and recorded, without effect."""

import uuid
from typing import Any

RECORDED: dict[str, dict[str, Any]] = {}
"""Physical id to the type and properties of every resource that was accepted this way."""


def _recorded(resource_type: str, attributes: tuple[str, ...]) -> dict[str, Any]:
    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
        physical = uuid.uuid5(uuid.NAMESPACE_URL, f"{stack_name}/{logical_id}").hex
        RECORDED[physical] = {"type": resource_type, "properties": properties, "stack": stack_name}
        arn = f"arn:aws:{resource_type.split('::')[1].lower()}:::{physical}"
        return physical, {name: arn if name == "Arn" else physical for name in attributes}

    def update(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str, *rest: Any
    ) -> tuple[str, dict[str, Any]]:
        del old, rest
        RECORDED[physical_id] = {"type": resource_type, "properties": new, "stack": stack_name}
        arn = f"arn:aws:{resource_type.split('::')[1].lower()}:::{physical_id}"
        return physical_id, {name: arn if name == "Arn" else physical_id for name in attributes}

    def delete(physical_id: str, *rest: Any) -> None:
        del rest
        RECORDED.pop(physical_id, None)

    return {"create": create, "update": update, "delete": delete}


ACCEPTED = {
    "AWS::Rbin::Rule": _recorded("AWS::Rbin::Rule", ("Arn", "Identifier")),
    "AWS::EC2::SnapshotBlockPublicAccess": _recorded("AWS::EC2::SnapshotBlockPublicAccess", ("AccountId",)),
    "AWS::CloudWatch::CompositeAlarm": _recorded("AWS::CloudWatch::CompositeAlarm", ("Arn",)),
    "AWS::Backup::BackupSelection": _recorded("AWS::Backup::BackupSelection", ("Id",)),
}
