"""The demo's disaster: the whole home region is gone, and the platform comes back in another, from the copies there."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError

from local.actors import VENDOR, Demo, console_disks, tag_list, tags_of
from local.session import REGION
from local.story import shorten

AWAY = "eu-central-1"
AWAY_ZONE = f"{AWAY}b"
AWAY_PARAMETERS = {
    "HomeRegion": REGION,
    "RestoreFromRegions": REGION,
    "RunningWindowSeconds": "5",
    "NotificationEmail": "operator@example.com",
}
COPIED_WITHIN = 75.0
"""Seconds within which a copy that is there must have been told: its event wakes, else the sweep of each minute."""
VERIFIED_WITHIN = 75.0


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The other region: its stack, which is deployed while the story goes on, and the key of the copies."""

    demo: Demo
    key: str
    deployed: Future[None]


def prepare(home: Demo, key: str) -> Elsewhere:
    """What a person does once, before any disaster: the same template there, under the same name."""
    away = Demo(home.aws, home.story, AWAY)
    pool = ThreadPoolExecutor(1, thread_name_prefix="deploy")
    deployed = pool.submit(_deploy, away)
    pool.shutdown(wait=False)
    return Elsewhere(away, key, deployed)


def _deploy(away: Demo) -> None:
    away.deploy(AWAY_PARAMETERS)
    away.subscribe()
    away.story.tell("person", f"sam deploy --region {AWAY}: the same template, under the same name")


def home_is_lost(home: Demo, away: Elsewhere, *, platform: str, chain: str) -> None:
    """The last recovery point is copied; the region goes; a fresh platform in the other one gets the data."""
    point = _copied(home, away, platform)
    _lose(home)
    fresh, displaced = _fresh_platform(away.demo)
    _restore(away.demo, fresh, platform)
    _came_back(away, fresh, displaced=displaced, point=point, chain=chain)
    _goes_on(away.demo, fresh, chain)


def _copied(home: Demo, away: Elsewhere, platform: str) -> dict[str, Any]:
    """The recovery point's copy: its snapshot there."""
    away.deployed.result()
    told = home.wait_for(
        f"the copy in {AWAY}", lambda: home.heard("SnapshotsCopied", instance_id=platform), COPIED_WITHIN
    )
    home.story.check(f"the recovery point is in {AWAY}, too", told, told and shorten(told["summary"]))
    [copy] = away.demo.ec2.describe_snapshots(
        Filters=[{"Name": "tag:lifeboat:recovery-point", "Values": [told["subject"]["recovery_point"]]}]
    )["Snapshots"]
    home.story.equal("under the key of that region", copy["KmsKeyId"], away.key)
    return dict(copy)


def _lose(home: Demo) -> None:
    home.aws.control.lose_region(home.region)
    home.story.tell("aws", f"{home.region} is gone: instances, volumes, snapshots, the stack and its table")
    try:
        answer = shorten(home.ec2.describe_instances())
    except BotoCoreError as silence:
        answer = type(silence).__name__
    home.story.equal(f"{home.region} answers nobody", answer, "ConnectionClosedError")


def _fresh_platform(away: Demo) -> tuple[str, str]:
    """A fresh platform, consented to; its instance and the volume that a restore will displace."""
    away.story.waiting("a fresh platform starts")
    image = away.aws.control.seed_image(owner=VENDOR, name="CadoResponse_v2.100.0", region=AWAY)
    fresh = away.launch(image, "CadoResponse", console_disks(), AWAY_ZONE)
    displaced: str = away.disk(fresh, "/dev/sdb")["VolumeId"]
    away.ec2.create_tags(Resources=[fresh, displaced], Tags=tag_list({"lifeboat:restore-target": "true"}))
    away.story.tell("person", f"deploys a fresh platform {fresh} in {AWAY_ZONE}, and consents to a restore")
    return fresh, displaced


def _restore(away: Demo, fresh: str, platform: str) -> None:
    """The old instance's id names the line of data, as docs/migrate.md says."""
    ask = {
        "instance_id": fresh,
        "recovery_point": {"instance_id": platform},
        "reason": "the home region is gone",
        "requested_by": "jo",
    }
    begun = away.invoke("RestoreVolumeFunction", "restore_volume/latest.json", ask)
    away.story.tell("person", f"sam remote invoke --region {AWAY}: {begun.get('restore_id', shorten(begun))}")

    def verified() -> dict[str, Any] | None:
        """Nobody waits for the next minute's sweep with the home region gone."""
        away.invoke("AttachVolumeFunction", "attach_volume/sweep.json")
        return away.heard("RestoreCompleted", instance_id=fresh)

    done = away.wait_for("the restore", verified, VERIFIED_WITHIN)
    away.story.check(f"the restore in {AWAY} completed", done, done and shorten(done["summary"]))


def _came_back(away: Elsewhere, fresh: str, *, displaced: str, point: dict[str, Any], chain: str) -> None:
    demo, story = away.demo, away.demo.story
    restored = demo.disk(fresh, "/dev/sdb")
    story.equal("from the copy", restored["SnapshotId"], point["SnapshotId"])
    story.equal("the instance runs on it there", demo.instance(fresh)["State"]["Name"], "running")
    expected = {"VolumeType": "gp3", "Iops": 4000, "Throughput": 200, "Size": 100, "Encrypted": True}
    story.equal(
        "type, IOPS, throughput, size and encryption as they were",
        " ".join(f"{name}={restored.get(name)}" for name in expected),
        " ".join(f"{name}={value}" for name, value in expected.items()),
    )
    story.equal("the copy's key encrypts it", restored.get("KmsKeyId"), away.key)
    tags = tags_of(restored)
    own = (tags.get("Name"), tags.get("team"), tags.get("lifeboat:chain"))
    story.equal("its tags and its chain came along", own, ("CadoResponseDataVolume", "forensics", chain))
    old = demo.ec2.describe_volumes(VolumeIds=[displaced])["Volumes"][0]
    story.equal("the displaced volume is kept there, too", (old["State"], old["Attachments"]), ("available", []))


def _goes_on(away: Demo, fresh: str, chain: str) -> None:
    """Backups go on in the region that is home from now on."""
    away.ec2.create_tags(Resources=[fresh], Tags=tag_list({"lifeboat:backup": "true"}))
    away.invoke("TakeSnapshotsFunction", "take_snapshots/one-instance.json", {"instance_ids": [fresh]})
    completed = away.wait_for("its first backup", lambda: away.heard("BackupCompleted", instance_id=fresh), 30)
    seen = completed["details"]["chains"] if completed else None
    away.story.equal("the next backup there continues the same chain", seen, [chain])
