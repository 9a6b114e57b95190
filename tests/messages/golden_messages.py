"""One message of each kind, as it would come of the protected platform; tests/golden/messages/ has what they say.

`PYTHONPATH=layers/lifeboat/python python -m tests.messages.golden_messages` writes the golden
files anew: read the diff.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lifeboat.ami import messages as ami_messages
from lifeboat.ami.verdict import AmiVerdict, Trust
from lifeboat.backup import messages as backup_messages
from lifeboat.backup.batch import BatchResult, Run
from lifeboat.copies import messages as copies_messages
from lifeboat.doctor import messages as doctor_messages
from lifeboat.doctor.line import fail, not_seen, ok, warn
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.evidence import (
    BucketSettings,
    Encryption,
    LifecycleRule,
    ObjectVersion,
    PublicAccessBlock,
    Versioning,
)
from lifeboat.domain.message import Message
from lifeboat.domain.proof import Level
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.evidence import manifest_messages
from lifeboat.evidence import messages as evidence_messages
from lifeboat.evidence.commands import Place
from lifeboat.evidence.expiry import Going, Tally
from lifeboat.evidence.findings import Finding, judge
from lifeboat.evidence.losses import Fate, Loss
from lifeboat.evidence.manifest import Index, Losses, Peak
from lifeboat.evidence.record import Record, compare
from lifeboat.restore import messages as restore_messages
from lifeboat.restore.record import (
    Direction,
    KeptVolume,
    Restore,
    RestoreState,
    RestoreStep,
    RestoreVolume,
    TimelineEntry,
)
from lifeboat.restore.report import outcome
from lifeboat.retention import messages as retention_messages
from lifeboat.retention.policy_change import Change, Terms
from lifeboat.verify import canary_messages, drill_messages
from lifeboat.verify import messages as verify_messages
from lifeboat.verify.canary import Observation
from lifeboat.verify.drill_record import Drill, DrillState
from lifeboat.verify.plan import new_verification
from lifeboat.verify.record import Phase, Reading, Verification
from tests.builders import ACCOUNT, DATA, KEY, PLATFORM, SLOT, VENDOR, instance, point_tags, snapshot

GOLDEN = Path(__file__).parents[1] / "golden" / "messages"
STACK = "lifeboat"
REGION = "eu-west-1"
AT = SLOT + timedelta(minutes=4)
FRESH = "i-0bbbbbbbbbbbbbbb2"
RESTORED, DISPLACED = "vol-0cccccccccccccc31", "vol-0bbbbbbbbbbbbbb21"
SECOND = {
    "snapshot": "snap-0aaaaaaaaaaaaaa02",
    "restored": "vol-0cccccccccccccc32",
    "displaced": "vol-0bbbbbbbbbbbbbb22",
}


PARTLY = BatchResult(
    begun=tuple(f"i-0ccccccccccccc{number:03}" for number in range(37)),
    skipped=("i-0ddddddddddddd001",),
    failed=(
        (PLATFORM, f"{PLATFORM} has no data volume"),
        (FRESH, "UnauthorizedOperation: You are not authorized to perform this operation."),
    ),
)


def large_run(**facts: Any) -> Run:
    """A run of 40 instances in four batches, all of which have reported."""
    known: dict[str, Any] = {
        "id": "2026-11-23T02:00:00Z/0123456789abcdef",
        "slot": SLOT,
        "late": False,
        "planned_at": SLOT,
        "instances": 40,
        "batches": 4,
        "done": frozenset({1, 2, 3, 4}),
    }
    return Run(**{**known, **facts})


NAME = "CadoResponse"


def point(name: str = NAME) -> RecoveryPoint:
    return replace(read_catalogue([snapshot()]).points[0], instance_name=name)


def proven() -> RecoveryPoint:
    """The recovery point of the day before, which was read back."""
    day = SLOT - timedelta(days=1)
    tags = point_tags(recovery_point_id=f"rp-20261122T020000Z-{PLATFORM}", set_id="set-0", slot=day)
    return read_catalogue([snapshot(id="snap-0aaaaaaaaaaaaaa00", started_at=day, tags=tags)]).points[0]


SUSPECT = canary_messages.SuspectVolume(
    lineage=DATA,
    device="/dev/sdh",
    observed=Observation(point().id, SLOT, 0.2741, 7.9123, 0.2318, 6.98, 0.08, suspected=True),
    usual=Observation("", SLOT, 0.0312, 6.2214, 0.0021, 6.97, 0.08),
)


def verification(**facts: Any) -> Verification:
    known: dict[str, Any] = {"holds": "xfs (dirty log, normal)", "phase": Phase.DONE, "written": 61_440, "read": 9}
    reading = Reading("snap-0aaaaaaaaaaaaaa01", "/dev/sdh", 100, AT, **{**known, **facts})
    return replace(new_verification(point().id, Level.READ, AT), readings=(reading,))


def _after(minutes: float) -> datetime:
    return SLOT + timedelta(minutes=minutes)


def _volume(**facts: Any) -> RestoreVolume:
    known: dict[str, Any] = {
        "snapshot_id": "snap-0aaaaaaaaaaaaaa01",
        "device": "/dev/sdh",
        "zone": "eu-west-1b",
        "type": "gp3",
        "size": 100,
        "encrypted": True,
        "lineage": DATA,
        "iops": 4000,
        "throughput": 200,
        "kms_key_id": KEY,
        "displaced_volume_id": DISPLACED,
        "displaced_delete_on_termination": True,
        "restored_volume_id": RESTORED,
    }
    return RestoreVolume(**{**known, **facts})


def restore(**facts: Any) -> Restore:
    """A restore of two volumes onto a fresh instance, just begun by default."""
    second = _volume(
        snapshot_id=SECOND["snapshot"],
        device="/dev/sdi",
        restored_volume_id=SECOND["restored"],
        displaced_volume_id=SECOND["displaced"],
        displaced_delete_on_termination=False,
    )
    known: dict[str, Any] = {
        "id": "restore-20261123T020000Z-4711",
        "request_id": "incident-4711",
        "instance_id": FRESH,
        "recovery_point_id": f"rp-20261123T020000Z-{PLATFORM}",
        "volumes": (_volume(), second),
        "started_at": SLOT,
        "step_since": SLOT,
        "was_running": True,
        "requested_by": "operator",
        "reason": "incident 4711",
        "source_instance_id": PLATFORM,
        "source_name": NAME,
        "timeline": (TimelineEntry(SLOT, RestoreStep.VOLUMES, "asked by operator: incident 4711"),),
    }
    return Restore(**{**known, **facts})


def _ended(status: RestoreState, **facts: Any) -> Message:
    ended = replace(restore(), status=status, step=RestoreStep.DONE, closed=True, **facts)
    return restore_messages.restore_ended(
        stack=STACK, at=AT, restore=ended, outcome=outcome(ended, AT, REGION, ACCOUNT)
    )


def _completed(name: str) -> Message:
    return _ended(
        RestoreState.COMPLETED,
        source_name=name,
        crossed=(f"instance {PLATFORM} to {FRESH}", "zone eu-west-1a to eu-west-1b"),
        cloudformation_stack="platform",
        timeline=(
            *restore().timeline,
            TimelineEntry(_after(1), RestoreStep.STOP, f"stops {FRESH}"),
            TimelineEntry(_after(1.5), RestoreStep.DETACH, f"detaches {DISPLACED}"),
            TimelineEntry(_after(1.6), RestoreStep.ATTACH, f"attaches {RESTORED}"),
            TimelineEntry(_after(1.7), RestoreStep.START, f"starts {FRESH}"),
            TimelineEntry(_after(3.9), RestoreStep.DONE, "runs, status checks ok"),
        ),
    )


def _rolled_back(name: str) -> Message:
    return _ended(
        RestoreState.ROLLED_BACK,
        source_name=name,
        direction=Direction.ROLLBACK,
        failure=f"{SECOND['displaced']} did not detach within 10 min",
        kept=(KeptVolume(RESTORED, "an instance ran on it"),),
        timeline=(
            *restore().timeline,
            TimelineEntry(_after(1), RestoreStep.STOP, f"stops {FRESH}"),
            TimelineEntry(_after(2), RestoreStep.DETACH, f"detaches {DISPLACED}"),
            TimelineEntry(_after(3), RestoreStep.ATTACH, "rolls back: a volume did not detach within 10 min"),
            TimelineEntry(_after(4), RestoreStep.DONE, "all is as it was"),
        ),
    )


def _failed(name: str) -> Message:
    stuck = replace(
        restore(source_name=name),
        status=RestoreState.FAILED,
        direction=Direction.ROLLBACK,
        step=RestoreStep.ATTACH,
        failure=f"{FRESH} did not start within 20 min",
        blocked=f"{DISPLACED} is attached to i-0ddddddddddddddd4",
    )
    return restore_messages.restore_ended(
        stack=STACK, at=AT, restore=stuck, outcome=outcome(stuck, AT, REGION, ACCOUNT)
    )


def _judged(name: str, verdict: AmiVerdict) -> Message:
    judged = instance(id=FRESH, tags={"Name": name})
    return ami_messages.ami_owner_checked(stack=STACK, at=AT, instance=judged, verdict=verdict)


def drill(**facts: Any) -> Drill:
    """A drill of one volume that has passed, but for what is given."""
    known: dict[str, Any] = {
        "id": "drill-0123456789abcdef",
        "run": "2026-11-29T05:00:00Z",
        "lineage": DATA,
        "recovery_point_id": point().id,
        "taken_at": SLOT,
        "instance_id": PLATFORM,
        "instance_name": "CadoResponse",
        "lineages": (DATA,),
        "zone": "eu-west-1b",
        "volumes": (_volume(displaced_volume_id=None),),
        "requested_at": SLOT,
        "since": AT,
        "state": DrillState.DELETING,
        "begun_at": SLOT,
        "available_at": SLOT + timedelta(seconds=7),
        "read": True,
    }
    return Drill(**{**known, **facts})


EVIDENCE = "cadoresponse-1a2b3c"


def evidence_tally() -> Tally:
    """What an evidence bucket holds: 40 objects, ten of them archived, the first of which expires in a week."""
    return Tally(
        versions=40,
        objects=40,
        size=4_000_000_000,
        archived=10,
        archived_size=1_000_000_000,
        going=(
            Going(
                "CadoGlacierRule",
                objects=10,
                size=1_000_000_000,
                first_at=SLOT + timedelta(days=7),
                soon_objects=1,
                soon_size=100_000_000,
            ),
        ),
    )


def manifest_index() -> Index:
    """The index of tonight's manifest: of 52 objects 12 went, three of them by no rule."""
    return Index(
        id="20261123T020000Z",
        bucket=EVIDENCE,
        begun_at=AT,
        ended_at=AT,
        parts=1,
        lost_parts=1,
        objects=40,
        size=40 * 2**30,
        archived=10,
        versions=52,
        folders=2,
        peak=Peak(40, 40 * 2**30),
        before="20261122T020000Z",
        losses=Losses(objects=12, size=12 * 2**30, expired=9, hidden=12, replaced=1),
        smaller=("40 objects instead of 52",),
    )


def manifest_losses() -> list[Loss]:
    """Two of what it has lost."""

    def version(key: str) -> ObjectVersion:
        return ObjectVersion(key, "v1", 2**30, "GLACIER", SLOT, is_latest=True, etag="827ccb0eea8a706c4c34a16891f84e7b")

    return [
        Loss(version("glacier/1/disk.e01"), Fate.LOST, kept=True, marker="m1", rule="CadoGlacierRule"),
        Loss(version("imports/2/it's one.e01"), Fate.LOST, kept=True, marker="m2"),
    ]


def evidence_findings() -> tuple[Finding, ...]:
    """What is found of a bucket as the vendor's Terraform makes it."""
    document = {
        "ID": "CadoGlacierRule",
        "Filter": {"Prefix": "glacier"},
        "Status": "Enabled",
        "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}],
        "Expiration": {"Days": 365},
    }
    settings = BucketSettings(
        versioning=Versioning(),
        object_lock=None,
        lifecycle=(LifecycleRule("CadoGlacierRule", True, "glacier", document, expires_days=365),),
        public_access_block=PublicAccessBlock(True, True, True, True),
        policy=None,
        policy_is_public=None,
        encryption=Encryption("AES256"),
        replication=None,
        ownership="BucketOwnerEnforced",
    )
    return judge(settings, evidence_tally(), Place(EVIDENCE, REGION, "111122223333", "aws", "eu-central-1"))


def messages(name: str = NAME) -> dict[str, Message]:
    """One message of each kind, by its event, of an instance with this Name."""
    begun = {
        "instance_id": PLATFORM,
        "recovery_point": point().id,
        "volumes": [DATA],
        "reason": "slot 2026-11-23T02:00:00Z is due",
        "snapshots": {DATA: "snap-0aaaaaaaaaaaaaa01"},
    }
    kept = {"recovery_point": point().id, "taken_at": "2026-11-23T02:00:00Z", "gib": 100, "reasons": ["1st of 3 last"]}
    gone = {"recovery_point": f"rp-20261022T020000Z-{PLATFORM}", "instance_id": PLATFORM, "gib": 100}
    held = {**gone, "recovery_point": f"rp-20261021T020000Z-{PLATFORM}", "cause": "snap-0aaaaaaaaaaaaaa09 is locked"}
    found = (
        backup_messages.backup_started(stack=STACK, at=AT, slot=SLOT, begun=[begun], names={PLATFORM: name}),
        backup_messages.run_ended(stack=STACK, at=AT, run=large_run(), outcome=PARTLY),
        backup_messages.backup_completed(stack=STACK, at=AT, point=point(name)),
        copies_messages.snapshots_copied(stack=STACK, at=AT, point=point(name), region="eu-central-1", home=REGION),
        copies_messages.copy_failed(
            stack=STACK,
            at=AT,
            recovery_point_id=point().id,
            region="eu-central-1",
            reason="the copy snap-0ccccccccccccccc1 of snap-0aaaaaaaaaaaaaa01 ended in error: "
            "Given key ID is not accessible",
            snapshot_ids=("snap-0ccccccccccccccc1",),
            next_attempt=_after(5),
        ),
        copies_messages.sharing_failed(
            stack=STACK,
            at=AT,
            point=point(name),
            account=VENDOR,
            reason="ModifySnapshotAttribute of snap-0aaaaaaaaaaaaaa01: OperationNotPermitted: Encrypted snapshots with "
            "EBS default key cannot be shared",
            snapshot_ids=("snap-0aaaaaaaaaaaaaa01",),
        ),
        copies_messages.metadata_missing(
            stack=STACK,
            at=AT,
            source=ACCOUNT,
            reason="a lineage is 'x', expected one such as vol-0123456789abcdef0",
            recovery_point_ids=(point().id,),
            snapshot_ids=("snap-0aaaaaaaaaaaaaa01",),
        ),
        backup_messages.unplanned_snapshot_taken(
            stack=STACK, at=AT, point=point(name), made={SECOND["snapshot"]: SECOND["displaced"]}
        ),
        backup_messages.backup_failed(
            stack=STACK,
            at=AT,
            recovery_point_id=point().id,
            instance_id=PLATFORM,
            name=name,
            reason="snap-0aaaaaaaaaaaaaa01 ended in error",
            snapshot_ids=("snap-0aaaaaaaaaaaaaa01",),
        ),
        backup_messages.backup_overdue(
            stack=STACK,
            at=_after(50),
            instance_id=PLATFORM,
            name=name,
            age=timedelta(days=1, minutes=50),
            expected=SLOT,
            since=SLOT - timedelta(days=30),
            newest=(f"rp-20261122T020000Z-{PLATFORM}", SLOT - timedelta(days=1)),
            volume_ids=(DATA,),
        ),
        backup_messages.recovery_point_not_locked(
            stack=STACK,
            at=AT,
            point=point(name),
            reason="snap-0aaaaaaaaaaaaaa01: UnauthorizedOperation: You are not authorized to perform this operation.",
        ),
        retention_messages.snapshots_pruned(
            stack=STACK,
            at=AT,
            deleted=[gone],
            kept=[kept],
            refused=[held],
            notices=["1 more is to go and waits for the next run: MaximumDeletePercent"],
            saved_gib=100,
        ),
        retention_messages.retention_changed(
            stack=STACK,
            at=AT,
            change=Change(
                old=Terms("last=3 daily=14 weekly=8", "UTC", 3, 0, timedelta(days=1)),
                new=Terms("last=3", "UTC", 3, 0, timedelta(days=1)),
                of_stack=True,
            ),
            until=AT + timedelta(days=1),
            lineages=[DATA],
            region=REGION,
            points=[point()],
            command="make deploy REGION=eu-west-1 Retention=last=3,daily=14,weekly=8",
        ),
        retention_messages.recovery_points_adopted(
            stack=STACK,
            at=AT,
            subject={"volume_id": DATA},
            adopted=[
                {
                    "snapshot": "snap-0aaaaaaaaaaaaaa01",
                    "recovery_point": "rp-20261123T020000Z-snap-0aaaaaaaaaaaaaa01",
                    "taken_at": "2026-11-23T02:00:00Z",
                    "gib": 100,
                    "lineage": DATA,
                    "instance_id": PLATFORM,
                    "device": "/dev/sdh",
                }
            ],
            refused=[
                {
                    "snapshot": SECOND["snapshot"],
                    "taken_at": "2026-11-22T02:00:00Z",
                    "gib": 100,
                    "cause": "it is pending, expected completed",
                }
            ],
        ),
        verify_messages.recovery_point_verified(
            stack=STACK, at=AT, point=point(name), record=verification(), unrecorded=""
        ),
        verify_messages.verification_failed(
            stack=STACK,
            at=AT,
            region=REGION,
            point=point(name),
            record=verification(holds="xfs", failure="what is on it is damaged: The magic of AGF 2 is wrong."),
            proven=proven(),
            unrecorded="",
        ),
        verify_messages.verification_stopped(stack=STACK, at=AT, record=verification(), reason="it was deleted"),
        verify_messages.copy_not_compared(
            stack=STACK,
            at=AT,
            point=replace(point(name), id=f"rp-20261123T020000Z-{PLATFORM}-444455556666"),
            account="444455556666",
            record=verification(
                failure="AWS refused to have it compared: DEPENDENCY_RESOURCE_NOT_FOUND: KMS key not found."
            ),
        ),
        canary_messages.recovery_point_suspect(
            stack=STACK,
            at=AT,
            region=REGION,
            point=point(name),
            volumes=[SUSPECT],
            before=replace(point(name), id=f"rp-20261122T020000Z-{PLATFORM}", taken_at=SLOT - timedelta(days=1)),
            has_copies=True,
        ),
        restore_messages.restore_started(
            stack=STACK, at=AT, restore=restore(source_name=name), plan="stop\nswap /dev/sdh and /dev/sdi\nstart"
        ),
        restore_messages.restore_refused(
            stack=STACK,
            at=AT,
            instance_id=FRESH,
            reasons=(f"{FRESH} is not tagged lifeboat:restore-target=true", f"{DISPLACED} neither"),
            asked_by="operator",
            name=name,
        ),
        _completed(name),
        _rolled_back(name),
        _failed(name),
        drill_messages.drill_passed(stack=STACK, at=AT, drill=drill(instance_name=name)),
        drill_messages.drill_failed(
            stack=STACK,
            at=AT,
            drill=drill(
                instance_name=name,
                available_at=None,
                failure="the volume of snap-0aaaaaaaaaaaaaa01 did not become available within 60 minutes",
            ),
        ),
        evidence_messages.evidence_at_risk(
            stack=STACK,
            at=AT,
            bucket=EVIDENCE,
            findings=evidence_findings(),
            change=compare(Record(), evidence_findings(), AT),
            tally=evidence_tally(),
        ),
        manifest_messages.evidence_lost(
            stack=STACK, at=AT, region=REGION, index=manifest_index(), named=manifest_losses()
        ),
        evidence_messages.evidence_risk_removed(
            stack=STACK,
            at=AT,
            bucket=EVIDENCE,
            findings=evidence_findings()[1:],
            change=compare(Record(compare(Record(), evidence_findings(), SLOT).risks), evidence_findings()[1:], AT),
            tally=evidence_tally(),
        ),
        doctor_messages.stack_checked(
            stack=STACK,
            at=AT,
            deployed_at=SLOT - timedelta(hours=20),
            lines=(
                ok("stack", "The stack is UPDATE_COMPLETE, deployed at 2026-11-22T06:00:00Z"),
                warn("encryption", f"Not encrypted, and so are their snapshots: {DISPLACED}", advice="Replace it."),
                fail(
                    "rules",
                    "The rule ConfirmSnapshotsFunctionSnapshot is DISABLED",
                    f"aws events enable-rule --name lifeboat-rule --region {REGION}",
                ),
            ),
        ),
        doctor_messages.coverage_report(
            stack=STACK,
            at=AT,
            lines=(
                ok("selection", "Every instance with data volumes is selected: 1"),
                warn(
                    "second_region",
                    f"No second region: every recovery point of this stack is in {REGION} only",
                    f"make deploy REGION={REGION} CopyToRegions=OTHER_REGION",
                ),
                not_seen("vault", "What is shared with the vault 444455556666", "UnauthorizedOperation: no"),
            ),
        ),
        _judged(
            name,
            AmiVerdict(
                Trust.TRUSTED,
                "vendor-owned",
                f"ami-0cad0000000000001 is owned by {VENDOR}, a trusted owner.",
                (f"owner {VENDOR}",),
            ),
        ),
        _judged(
            name,
            AmiVerdict(
                Trust.UNTRUSTED, "clone", f"It was made of the instance {PLATFORM}.", (f"source instance {PLATFORM}",)
            ),
        ),
        _judged(
            name, AmiVerdict(Trust.UNKNOWN, "no-record", "EC2 has no record of who owns it.", ("the image is gone",))
        ),
    )
    return {message.event: message for message in found}


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for event, message in messages().items():
        (GOLDEN / f"{event}.txt").write_text(message.to_text() + "\n")
        (GOLDEN / f"{event}.json").write_text(message.to_json() + "\n")
