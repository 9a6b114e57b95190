"""The demo's disaster: the whole home region is gone, and the platform comes back in another, from the copies there."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from botocore.exceptions import BotoCoreError

from acceptance.narration import shorten
from acceptance.operator import tag_list, tags_of
from local import demo_data
from local.actors import VENDOR, Demo, console_disks

AWAY = "eu-central-1"
AWAY_ZONE = f"{AWAY}b"
COPIED_WITHIN = timedelta(minutes=20)
RESTORED_WITHIN = timedelta(minutes=15)
BACKED_UP_WITHIN = timedelta(hours=1, minutes=15)
"""A slot is due every hour, and its snapshot takes some minutes."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The other region: its stack, and the key of the copies."""

    demo: Demo
    key: str


def deploy_twice(home: Demo, parameters: Mapping[str, str]) -> Elsewhere:
    """What a person does once, before any disaster: the template at home, and the same elsewhere, at the same time."""
    away = Demo(home.aws, home.narration, AWAY)
    key = home.aws.client("kms", AWAY).create_key(Description="copies")["KeyMetadata"]["Arn"]
    mine = (
        (home, {**parameters, "CopyToRegions": AWAY, "CopyKmsKeyArns": key}),
        (away, {**parameters, "HomeRegion": home.region, "RestoreFromRegions": home.region}),
    )
    with ThreadPoolExecutor(len(mine), thread_name_prefix="deploy") as pool:
        for deployed in [pool.submit(demo.deploy, wanted) for demo, wanted in mine]:
            deployed.result()
    home.narration.add("person", f"sam deploy: the real template, IAM enforced, with copies in {AWAY}")
    home.narration.add("person", f"sam deploy --region {AWAY}: the same template, under the same name")
    home.listen()
    away.listen()
    home.others = (away,)
    return Elsewhere(away, key)


def home_is_lost(home: Demo, away: Elsewhere, *, platform: str, lineage: str) -> None:
    """The last recovery point is copied; the region goes; a fresh platform in the other one gets the data."""
    point = _copied(home, away, platform)
    _lose(home)
    fresh, displaced = _fresh_platform(away.demo)
    _restore(away.demo, fresh, platform)
    _came_back(away, fresh, displaced=displaced, point=point, lineage=lineage)
    _goes_on(away.demo, fresh, lineage)


def _copied(home: Demo, away: Elsewhere, platform: str) -> dict[str, Any]:
    """The recovery point's copy: its snapshot there."""
    found = home.wait_for(
        f"the copy in {AWAY}", lambda: home.find_message("SnapshotsCopied", instance_id=platform), COPIED_WITHIN
    )
    home.narration.check(f"the recovery point is in {AWAY}, too", found, found and shorten(found["summary"]))
    [copy] = away.demo.ec2.describe_snapshots(
        Filters=[{"Name": "tag:lifeboat:recovery-point", "Values": [found["subject"]["recovery_point"]]}]
    )["Snapshots"]
    home.narration.equal("under the key of that region", copy["KmsKeyId"], away.key)
    return dict(copy)


def _lose(home: Demo) -> None:
    home.aws.control.lose_region(home.region)
    home.narration.add("aws", f"{home.region} is gone: instances, volumes, snapshots, the stack and its table")
    try:
        answer = shorten(home.ec2.describe_instances())
    except BotoCoreError as silence:
        answer = type(silence).__name__
    home.narration.equal(f"{home.region} answers nobody", answer, "ConnectionClosedError")


def _fresh_platform(away: Demo) -> tuple[str, str]:
    """A fresh platform, consented to; its instance and the volume that a restore will displace."""
    image = away.aws.control.seed_image(owner=VENDOR, name="CadoResponse_v2.100.0", region=AWAY)
    fresh = away.launch(image, "CadoResponse", console_disks(), AWAY_ZONE)
    displaced: str = away.disk(fresh, "/dev/sdb")["VolumeId"]
    away.ec2.create_tags(Resources=[fresh, displaced], Tags=tag_list({"lifeboat:restore-target": "true"}))
    away.narration.add("person", f"deploys a fresh platform {fresh} in {AWAY_ZONE}, and consents to a restore")
    return fresh, displaced


def _restore(away: Demo, fresh: str, platform: str) -> None:
    """The old instance's id names the lineage, as docs/guide/migrate.md says."""
    ask = {
        "instance_id": fresh,
        "recovery_point": {"instance_id": platform},
        "reason": "the home region is gone",
        "requested_by": "jo",
    }
    begun = away.invoke("RestoreVolumeFunction", "restore_volume/latest.json", ask)
    away.narration.add("person", f"sam remote invoke --region {AWAY}: {begun.get('restore_id', shorten(begun))}")
    done = away.wait_for(
        "the restore", lambda: away.find_message("RestoreCompleted", instance_id=fresh), RESTORED_WITHIN
    )
    away.narration.check(f"the restore in {AWAY} completed", done, done and shorten(done["summary"]))


def _came_back(away: Elsewhere, fresh: str, *, displaced: str, point: dict[str, Any], lineage: str) -> None:
    demo, narration = away.demo, away.demo.narration
    restored = demo.disk(fresh, "/dev/sdb")
    narration.equal("from the copy", restored["SnapshotId"], point["SnapshotId"])
    demo_data.check_came_back(demo, restored["VolumeId"], "the very bytes are back there, too")
    narration.equal("the instance runs on it there", demo.instance_state(fresh), "running")
    expected = {"VolumeType": "gp3", "Iops": 4000, "Throughput": 200, "Size": 100, "Encrypted": True}
    narration.equal(
        "type, IOPS, throughput, size and encryption as they were",
        " ".join(f"{name}={restored.get(name)}" for name in expected),
        " ".join(f"{name}={value}" for name, value in expected.items()),
    )
    narration.equal("the copy's key encrypts it", restored.get("KmsKeyId"), away.key)
    tags = tags_of(restored)
    own = (tags.get("Name"), tags.get("team"), tags.get("lifeboat:chain"))
    narration.equal("its tags and its lineage came along", own, ("CadoResponseDataVolume", "forensics", lineage))
    old = demo.ec2.describe_volumes(VolumeIds=[displaced])["Volumes"][0]
    narration.equal("the displaced volume is kept there, too", (old["State"], old["Attachments"]), ("available", []))


def _goes_on(away: Demo, fresh: str, lineage: str) -> None:
    """Backups go on in the region that is home from now on."""
    away.ec2.create_tags(Resources=[fresh], Tags=tag_list({"lifeboat:backup": "true"}))
    completed = away.wait_for(
        "the first backup there", lambda: away.find_message("BackupCompleted", instance_id=fresh), BACKED_UP_WITHIN
    )
    seen = completed["details"]["lineages"] if completed else None
    away.narration.equal("the next backup there continues the same lineage", seen, [lineage])
