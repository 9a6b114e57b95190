"""AMIs: who owns an image, and which snapshots images use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lifeboat.aws import clients
from lifeboat.aws.ec2_describe import PAGE, id_filters, within_limit
from lifeboat.aws.errors import code_of, message_of, translated
from lifeboat.domain.ec2 import Instance
from lifeboat.domain.image import ImageAncestor, ImageEvidence, LaunchImage


def image_snapshot_ids() -> frozenset[str]:
    """The snapshots of the account's images, disabled and deprecated ones included. EC2 refuses to delete them."""
    pages = (
        clients.ec2_reads()
        .get_paginator("describe_images")
        .paginate(Owners=["self"], IncludeDeprecated=True, IncludeDisabled=True, PaginationConfig={"PageSize": PAGE})
    )
    with translated():
        return frozenset(
            mapping["Ebs"]["SnapshotId"]
            for page in pages
            for image in page["Images"]
            for mapping in image.get("BlockDeviceMappings", [])
            if mapping.get("Ebs", {}).get("SnapshotId")
        )


def launch_images(instance_ids: Sequence[str]) -> dict[str, LaunchImage]:
    """Owner and name of each instance's AMI, where EC2 shows them, also for deregistered and private images.

    One call shows both for up to 200 instances, the values that a filter takes. Raises AwsError.
    """
    with translated():
        return {
            instance_id: LaunchImage(item.get("OwnerId") or "", item.get("Name") or "")
            for instance_id, item in _image_metadata(instance_ids).items()
        }


def image_evidence(instance: Instance) -> ImageEvidence:
    """All that EC2 shows about the image that an instance was launched from.

    A refused call becomes a problem in the evidence, never an exception: the verdict is then `unknown`.
    """
    problems: list[str] = []
    metadata: Mapping[str, Any] = {}
    images: Sequence[Mapping[str, Any]] = ()
    ancestors: tuple[ImageAncestor, ...] = ()
    ancestry_known = False
    try:
        metadata = _image_metadata([instance.id]).get(instance.id, {})
    except (ClientError, BotoCoreError) as problem:
        problems.append(f"DescribeInstanceImageMetadata: {code_of(problem)}: {message_of(problem)}")
    image_id = metadata.get("ImageId") or instance.ami_id
    try:
        images = _images([image_id])
    except (ClientError, BotoCoreError) as problem:
        problems.append(f"DescribeImages: {code_of(problem)}: {message_of(problem)}")
    try:
        entries = clients.ec2_reads().get_image_ancestry(ImageId=image_id)["ImageAncestryEntries"]
        ancestors = tuple(ImageAncestor(item["ImageId"], owner_alias=item.get("ImageOwnerAlias")) for item in entries)
        ancestry_known = bool(entries)
    except (ClientError, BotoCoreError) as problem:
        problems.append(f"GetImageAncestry: {code_of(problem)}: {message_of(problem)}")
    ancestors = _with_owners(ancestors, problems)
    image: Mapping[str, Any] = images[0] if images else {}
    codes = [*instance.product_codes, *(item["ProductCodeId"] for item in image.get("ProductCodes", []))]
    return ImageEvidence(
        image_id=image_id,
        owner_id=metadata.get("OwnerId") or image.get("OwnerId"),
        owner_alias=metadata.get("ImageOwnerAlias") or image.get("ImageOwnerAlias"),
        name=metadata.get("Name") or image.get("Name"),
        state=metadata.get("State") or image.get("State"),
        public=metadata.get("IsPublic", image.get("Public")),
        source_instance_id=image.get("SourceInstanceId"),
        source_image_id=image.get("SourceImageId"),
        ancestors=ancestors,
        ancestry_known=ancestry_known,
        product_codes=tuple(dict.fromkeys(codes)),
        watermarks=tuple(_watermark(mark) for mark in metadata.get("ImageWatermarks") or []),
        problems=tuple(problems),
    )


def _with_owners(ancestors: tuple[ImageAncestor, ...], problems: list[str]) -> tuple[ImageAncestor, ...]:
    # GetImageAncestry gives aliases and no owner ids; DescribeImages gives the owners of visible ancestors.
    if len(ancestors) < 2:
        return ancestors
    try:
        images = _images([item.image_id for item in ancestors])
    except (ClientError, BotoCoreError) as problem:
        problems.append(f"DescribeImages of the ancestors: {code_of(problem)}: {message_of(problem)}")
        return ancestors
    owners = {image["ImageId"]: image.get("OwnerId") for image in images}
    return tuple(ImageAncestor(item.image_id, owners.get(item.image_id), item.owner_alias) for item in ancestors)


def _images(ids: Sequence[str]) -> list[Mapping[str, Any]]:
    """The images of these ids that this account may see, whoever owns them. Raises botocore's exceptions."""
    paginator = clients.ec2_reads().get_paginator("describe_images")
    asked: Any = {"IncludeDeprecated": True, "IncludeDisabled": True}
    calls = within_limit(id_filters("image-id", ids))
    return [image for call in calls for page in paginator.paginate(Filters=call, **asked) for image in page["Images"]]


def _watermark(mark: Mapping[str, Any] | str) -> str:
    if isinstance(mark, str):
        return mark
    return f"{mark.get('AccountId', '')}:{mark.get('Name', '')}"


def _image_metadata(instance_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    named = id_filters("instance-id", instance_ids)
    for call in within_limit(named) if named else ():
        token: str | None = None
        while True:
            more: dict[str, Any] = {"NextToken": token} if token else {}
            answer = clients.ec2_reads().describe_instance_image_metadata(Filters=call, MaxResults=PAGE, **more)
            for item in answer["InstanceImageMetadata"]:
                found[item["InstanceId"]] = item.get("ImageMetadata", {})
            token = answer.get("NextToken")
            if not token:
                break
    return found
