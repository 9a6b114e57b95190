"""Steps and checks that the demo and an acceptance run share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from acceptance.narration import shorten
from acceptance.operator import Operator, tags_of

PUBLISHED_WITHIN = timedelta(minutes=5)
RESTORED_WITHIN = timedelta(minutes=15)
PROVEN_WITHIN = timedelta(minutes=35)
"""EBS serves a snapshot's blocks about a minute after its completion, and a reconcile run comes every 15 minutes."""


def check_recovery_point(operator: Operator, point: str, lineage: str, image_owner: str) -> None:
    """One snapshot, of the data volume only, that says what it is."""
    snapshots = operator.snapshots_of(point)
    tags = tags_of(snapshots[0]) if snapshots else {}
    narration = operator.narration
    narration.equal("one snapshot, of the data volume only", [item["VolumeId"] for item in snapshots], [lineage])
    narration.equal("its lineage is the volume", tags.get("lifeboat:chain"), lineage)
    narration.equal("it records whose image the instance runs", tags.get("lifeboat:ami-owner"), image_owner)


def check_proven(operator: Operator, point: str) -> None:
    """Whether a recovery point was read back, as its snapshot's tag says."""
    said = operator.wait_for("the recovery point is read back", lambda: operator.verified(point), PROVEN_WITHIN)
    operator.narration.check("the recovery point was read back and is proven", "result=proven" in str(said), said)


def check_plan(operator: Operator, ask: Mapping[str, Any]) -> str:
    """The plan of a dry run, which is one only after consent."""
    plan = operator.invoke("RestoreVolumeFunction", "restore_volume/dry-run.json", ask)
    said: str = plan.get("plan", "")
    operator.narration.check("then the dry run gives a plan", plan.get("possible"), shorten(said or plan))
    return said


def refuse_without_consent(operator: Operator, ask: Mapping[str, Any]) -> None:
    """A dry run says which tags allow the restore, and that nothing is possible before."""
    refused = operator.invoke("RestoreVolumeFunction", "restore_volume/dry-run.json", ask)
    consent = [item["finding"] for item in refused.get("findings", []) if "create-tags" in item["finding"]]
    named = consent and not refused.get("possible")
    operator.narration.check("without a person's consent nothing is possible", named, consent[:1])


def ask_for_restore(operator: Operator, ask: Mapping[str, Any]) -> str:
    """Ask for a restore; its id, or nothing."""
    begun = operator.invoke("RestoreVolumeFunction", "restore_volume/latest.json", ask)
    operator.narration.add("person", f"asks RestoreVolumeFunction: {begun.get('restore_id', shorten(begun))}")
    restore_id: str = begun.get("restore_id", "")
    return restore_id


def check_no_failed_events(operator: Operator) -> None:
    """Whether no event waits in the queue of those that failed for good."""
    queue: str = operator.outputs["FailedEventsUrl"]
    wanted = ["ApproximateNumberOfMessages"]
    found = operator.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=wanted)["Attributes"]
    operator.narration.equal("no event failed for good", found["ApproximateNumberOfMessages"], "0")


def wait_for_swap(operator: Operator, instance_id: str, device: str, displaced: str) -> str:
    """The volume on which the instance runs in place of the displaced one; nothing if it does not."""

    def seen() -> str:
        now: str = operator.disk(instance_id, device).get("VolumeId", displaced)
        return now if now != displaced and operator.instance_state(instance_id) == "running" else ""

    volume: str = operator.wait_for("the swap", seen, RESTORED_WITHIN) or ""
    operator.narration.check("the instance runs on another volume", volume, volume)
    return volume


def wait_for_restored(operator: Operator, instance_id: str) -> dict[str, Any]:
    """The message that the restore completed."""
    done = operator.wait_for(
        "a reconcile run verifies the restore",
        lambda: operator.find_message("RestoreCompleted", instance_id=instance_id),
        RESTORED_WITHIN,
    )
    operator.narration.check("the restore completed", done, done and shorten(done["summary"]))
    return done or {}


def check_restored(
    operator: Operator, restored: Mapping[str, Any], settings: Mapping[str, Any], tags: Mapping[str, str], lineage: str
) -> None:
    """Whether the restored volume has the settings, the tags and the lineage of the one that was saved."""
    for name, value in settings.items():
        operator.narration.equal(f"{name} as it was", restored.get(name), value)
    found = tags_of(restored)
    operator.narration.equal("the volume's own tags came back", {key: found.get(key) for key in tags}, dict(tags))
    operator.narration.equal("it continues the lineage", found.get("lifeboat:chain"), lineage)


def check_displaced(operator: Operator, displaced: str, restore_id: str) -> None:
    """Whether the displaced volume is kept, and says what displaced it."""
    old = operator.ec2.describe_volumes(VolumeIds=[displaced])["Volumes"][0]
    operator.narration.equal("the displaced volume is kept", (old["State"], old["Attachments"]), ("available", []))
    operator.narration.equal("and says what displaced it", tags_of(old).get("lifeboat:displaced-by"), restore_id)


def refuse_clone(operator: Operator, clone: str, device: str, ask: Mapping[str, Any]) -> str:
    """A restore onto a clone is refused because of its image; the volume that it has, before and afterwards."""
    disk: str = operator.disk(clone, device)["VolumeId"]
    operator.consent(clone, disk)
    operator.narration.add("person", f"asks for a restore onto {clone}, a clone")
    answer = operator.invoke("RestoreVolumeFunction", "restore_volume/latest.json", {"instance_id": clone, **ask})
    narration = operator.narration
    narration.check("a restore onto a clone is refused", "refused" in answer, shorten(answer.get("refused", answer)))
    codes = [item["code"] for item in answer.get("findings", [])]
    narration.check("because of its image", any(code.startswith("ami") for code in codes), codes)
    narration.equal("and nothing was touched", operator.disk(clone, device)["VolumeId"], disk)
    operator.wait_for(
        "the refusal is published",
        lambda: operator.find_message("RestoreRefused", instance_id=clone),
        PUBLISHED_WITHIN,
    )
    return disk
