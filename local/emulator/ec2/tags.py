"""Tags: at creation, afterwards, and seen as their own resources."""

from collections.abc import Mapping, Sequence
from typing import Any

from local.emulator.ec2.actions import handles
from local.emulator.ec2.errors import Ec2Error, invalid_value, not_found
from local.emulator.ec2.model import Request, Resource, check_id
from local.emulator.ec2.select import filtered, page

KIND_OF = {"vol": "volume", "snap": "snapshot", "i": "instance", "ami": "image"}
MOST_TAGS = 50


def as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags in the shape of the API."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def checked(tags: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Tags that a caller may set.

    Raises:
        Ec2Error: InvalidParameterValue for reserved or too long ones, TagLimitExceeded for too many.
    """
    found: dict[str, str] = {}
    for tag in tags:
        key, value = tag.get("Key", ""), tag.get("Value", "")
        if not key:
            raise invalid_value("Tag key cannot be null or empty.")
        if key.lower().startswith("aws:"):
            raise invalid_value(f"Tag keys starting with 'aws:' are reserved for internal use: {key}")
        if len(key) > 128:
            raise invalid_value("Tag key exceeds the maximum length of 128 characters")
        if len(value) > 256:
            raise invalid_value("Tag value exceeds the maximum length of 256 characters")
        if key in found:
            raise invalid_value(f"Duplicate tag key '{key}' specified.")
        found[key] = value
    check_number(found)
    return found


def check_number(tags: Mapping[str, str]) -> None:
    """Fifty tags a resource, AWS's own not counted.

    Raises:
        Ec2Error: TagLimitExceeded.
    """
    if sum(not key.startswith("aws:") for key in tags) > MOST_TAGS:
        raise Ec2Error("TagLimitExceeded", f"The maximum number of tags for a resource is {MOST_TAGS}")


def at_creation(request: Request, *kinds: str) -> dict[str, dict[str, str]]:
    """The tags of TagSpecifications, by kind of resource.

    Raises:
        Ec2Error: InvalidParameterValue for a kind that the action does not create.
    """
    found: dict[str, dict[str, str]] = {kind: {} for kind in kinds}
    for specification in request.get("TagSpecifications", []):
        kind = specification.get("ResourceType", "")
        if kind not in kinds:
            raise invalid_value(f"'{kind}' is not a valid taggable resource type for this operation.")
        found[kind] = checked(specification.get("Tags", []))
    return found


def of(request: Request, resource_id: str) -> dict[str, str]:
    """The tags on a resource that are the account's own: of what it owns, and those that it sets on a snapshot that
    another account shares with it (recorded from a live account).

    Raises:
        Ec2Error: NotFound in the words of its kind, or InvalidID.
    """
    if resource_id.split("-", maxsplit=1)[0] == "snap":
        found = request.region.snapshot(resource_id, request.account)
        own = found.owner == request.account
        return found.tags if own else found.tags_of_others.setdefault(request.account, {})
    return _owned(request, resource_id).tags


def _owned(request: Request, resource_id: str) -> Resource:
    """The account's resource with an id, which is no snapshot.

    Raises:
        Ec2Error: NotFound in the words of its kind, or InvalidID.
    """
    kind = resource_id.split("-", maxsplit=1)[0]
    region, account = request.region, request.account
    if kind == "vol":
        return region.volume(resource_id, account)
    if kind == "i":
        return region.instance(resource_id, account)
    if kind == "ami":
        image = region.images.get(check_id("ami", resource_id))
        if image is None or image.owner != account:
            raise not_found("ami", resource_id)
        return image
    raise Ec2Error("InvalidID", f"The ID '{resource_id}' is not valid")


@handles("CreateTags")
def create_tags(request: Request) -> dict[str, Any]:
    """Set tags on existing resources; all of them exist or none is tagged."""
    tags = checked(request.get("Tags", []))
    targets = [of(request, resource_id) for resource_id in request.get("Resources", [])]
    for target in targets:
        check_number({**target, **tags})
    for target in targets:
        target.update(tags)
    return {}


@handles("DeleteTags")
def delete_tags(request: Request) -> dict[str, Any]:
    """Remove tags; a given value must match. Without tags, all that are not AWS's go."""
    wanted = request.get("Tags")
    for target in [of(request, resource_id) for resource_id in request.get("Resources", [])]:
        if wanted is None:
            for key in [key for key in target if not key.startswith("aws:")]:
                del target[key]
            continue
        for tag in wanted:
            key = tag.get("Key", "")
            if key.startswith("aws:"):
                raise invalid_value("Tag keys starting with 'aws:' are reserved for internal use")
            if "Value" not in tag or target.get(key) == tag["Value"]:
                target.pop(key, None)
    return {}


class _Tag(Resource):
    """One tag, as DescribeTags sees it."""

    def __init__(self, resource_id: str, key: str, value: str, number: int) -> None:
        super().__init__(owner="", number=number)
        self.resource_id = resource_id
        self.key = key
        self.value = value


FIELDS = {
    "key": lambda tag: [tag.key],
    "value": lambda tag: [tag.value],
    "resource-id": lambda tag: [tag.resource_id],
    "resource-type": lambda tag: [KIND_OF[tag.resource_id.split("-")[0]]],
}


@handles("DescribeTags")
def describe_tags(request: Request) -> dict[str, Any]:
    """All tags of the account's resources."""
    region = request.region
    holders: dict[str, Resource] = {**region.volumes, **region.snapshots, **region.instances, **region.images}
    every = [
        _Tag(resource_id, key, value, holder.number * 64 + index)
        for resource_id, holder in holders.items()
        if holder.owner == request.account
        for index, (key, value) in enumerate(holder.tags.items())
    ]
    found, more = page(request, filtered(every, request.get("Filters", []), FIELDS))
    described = [
        {
            "ResourceId": tag.resource_id,
            "ResourceType": KIND_OF[tag.resource_id.split("-")[0]],
            "Key": tag.key,
            "Value": tag.value,
        }
        for tag in found
    ]
    return {"Tags": described, **more}
