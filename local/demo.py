"""`make demo`: the main job, end to end, on the local AWS, through public interfaces only.

The real template is built and deployed with SAM CLI, functions are invoked with `sam remote invoke` and the files of
`events/`, and everything else is what an operator's boto3 client would do. The local AWS is asked only for what no
client can bring about: whose images there are, snapshots that are up to 40 days old, which bytes an instance writes to
its volume, and that a whole region is gone.

Its clock is simulated: its night takes a minute, EC2 takes as long as in AWS, and no parameter is shortened.
"""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from local import demo_data, demo_proof, stack
from local.actors import VENDOR, Demo, console_disks, tag_list, tags_of, terraform_disks
from local.demo_region import AWAY, deploy_twice, home_is_lost
from local.letters import chosen, opening
from local.narration import Narration, shorten
from local.session import HOME_ACCOUNT, REGION, ROOT, LocalAws

OUTPUT = ROOT / ".local"
PICTURE = ROOT / "docs" / "pictures" / "demo.svg"
HISTORY_DAYS = 40
BEGINNING = "2026-11-23T01:55:00+00:00"
SLOT = timedelta(hours=1)
"""From one slot to the next."""
GOOD_WITHIN = timedelta(minutes=15)
"""Of the slot: so soon its recovery point is good."""
RESTORED_WITHIN = timedelta(minutes=15)
PUBLISHED_WITHIN = timedelta(minutes=5)

FIRST_ZONE, OTHER_ZONE = f"{REGION}a", f"{REGION}b"
DELAYS = {"snapshot": 420, "copy": 600}
"""Seconds: a hundred GiB take longer than the local AWS's default, a small volume's."""
PARAMETERS = {
    "Schedule": "cron(0 * * * ? *)",  # every hour, so that one night is enough
    "NotificationEmail": "operator@example.com",
}


OPENING = """\
Lifeboat on a local AWS: no account, no Docker. Time is simulated, so a night takes about half a minute.
A platform is backed up. Its data is damaged, and it is lost. A fresh one gets the newest proven data.
"""


def play(demo: Demo) -> None:
    """The demo."""
    narration, control = demo.narration, demo.aws.control
    narration.waiting("sam build")
    stack.build()
    narration.add("person", "sam build")
    narration.waiting("sam deploy, in two regions")
    away = deploy_twice(demo, PARAMETERS)
    image = control.seed_image(owner=VENDOR, name="CadoResponse_v2.100.0")
    key = demo.aws.client("kms").create_key(Description="data volumes")["KeyMetadata"]["Arn"]

    platform, lineage = _platform(demo, image, key)
    point = _backup(demo, platform, lineage)
    demo_proof.check_proven(demo, point)
    demo_proof.damage(demo, platform, lineage, point)
    fresh = _disaster(demo, platform, image)
    restore_id, displaced = _ask(demo, fresh, point)
    _on_restored_volume(demo, fresh, displaced)
    # The restored volume has to stay attached for the running window. Meanwhile a person is in a hurry.
    _clone(demo, fresh)
    _restored(demo, fresh, restore_id=restore_id, displaced=displaced, point=point, lineage=lineage, key=key)
    _goes_on(demo, fresh, lineage)
    demo.read_messages()
    narration.equal("no event failed for good", _failed_events(demo), "0")
    home_is_lost(demo, away, platform=fresh, lineage=lineage)
    away.demo.read_messages()
    narration.equal(f"no event failed for good in {AWAY}", _failed_events(away.demo), "0")


def _failed_events(demo: Demo) -> str:
    """How many events wait in the queue of failed events."""
    attributes: dict[str, str] = demo.sqs.get_queue_attributes(
        QueueUrl=demo.outputs["FailedEventsUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]
    return attributes["ApproximateNumberOfMessages"]


def _platform(demo: Demo, image: str, key: str) -> tuple[str, str]:
    """A platform, a worker that looks like it, and 40 days of history."""
    platform = demo.launch(image, "CadoResponse", terraform_disks(key), FIRST_ZONE)
    demo.launch(image, "CadoResponseWorker", terraform_disks(key)[:1], FIRST_ZONE)
    lineage: str = demo.disk(platform, "/dev/sdh")["VolumeId"]
    demo.narration.add(
        "aws", f"the platform {platform} runs in {FIRST_ZONE}, data volume {lineage}; a worker beside it"
    )
    demo_proof.make_file_system(demo, lineage)
    demo_data.save(demo, lineage)
    _history(demo, platform, lineage, image, key)
    demo.narration.add("demo", f"{HISTORY_DAYS} older recovery points, one a day")
    demo.ec2.create_tags(Resources=[platform], Tags=tag_list({"lifeboat:backup": "true"}))
    demo.narration.add("person", f"tags {platform} lifeboat:backup=true")
    return platform, lineage


def _history(demo: Demo, platform: str, lineage: str, image: str, key: str) -> None:
    """Recovery points as Lifeboat tags them, older than this demo could make them."""
    settings = (
        "device=/dev/sdh type=gp3 size=100 iops=4000 throughput=200 encrypted=true delete-on-termination=false tags=2 "
        f"kms-key={key}"
    )
    for day in range(1, HISTORY_DAYS + 1):
        slot = (demo.aws.control.now() - timedelta(days=day)).replace(hour=2, minute=0, second=0, microsecond=0)
        demo.aws.control.seed_snapshot(
            start_time=slot,
            volume_id=lineage,
            size=100,
            encrypted=True,
            kms_key_id=key,
            tags={
                "Name": f"lifeboat {platform} {slot:%Y-%m-%dT%H:%M:%SZ}",
                "lifeboat:recovery-point": f"rp-{slot:%Y%m%dT%H%M%SZ}-{platform}",
                "lifeboat:set": f"history-{day}",
                "lifeboat:stack": stack.STACK_NAME,
                "lifeboat:slot": f"{slot:%Y-%m-%dT%H:%M:%SZ}",
                "lifeboat:instance": platform,
                "lifeboat:instance-name": "CadoResponse",
                "lifeboat:zone": FIRST_ZONE,
                "lifeboat:ami": image,
                "lifeboat:ami-owner": VENDOR,
                "lifeboat:volumes": "1",
                "lifeboat:chain": lineage,
                f"lifeboat:volume/{lineage}": settings,
                f"lifeboat:tags/{lineage}/1": "Name=CadoResponseDataVolume&team=forensics",
            },
        )


def _backup(demo: Demo, platform: str, lineage: str) -> str:
    """The schedule fires by itself; the recovery point is confirmed; what no rule keeps goes."""
    narration = demo.narration
    completed = demo.wait_for(
        "the schedule fires by itself, and the snapshot completes",
        lambda: demo.find_message("BackupCompleted", instance_id=platform),
        SLOT + GOOD_WITHIN,
    )
    narration.check(
        "the schedule fired by itself and the recovery point is good", completed, completed and "by its event"
    )
    point: str = completed["subject"]["recovery_point"] if completed else "latest"
    snapshots = _snapshots_of(demo, point)
    tags = tags_of(snapshots[0]) if snapshots else {}
    narration.equal("one snapshot, of the data volume only", [item["VolumeId"] for item in snapshots], [lineage])
    narration.equal("its lineage is the volume", tags.get("lifeboat:chain"), lineage)
    narration.equal("it records whose image the platform runs", tags.get("lifeboat:ami-owner"), VENDOR)
    narration.check(
        "its Name is not under the platform's delete pattern",
        not tags.get("Name", "CadoResponse").startswith("CadoResponse"),
        tags.get("Name"),
    )
    selected = {item["subject"].get("instance_id") for item in demo.published if item["event"] == "BackupCompleted"}
    narration.equal("the worker, whose name shares the prefix, was left alone", selected, {platform})
    pruned = demo.wait_for("what no rule keeps goes", lambda: demo.find_message("SnapshotsPruned"), PUBLISHED_WITHIN)
    deleted = pruned["details"]["deleted"] if pruned else []
    kept = pruned["details"]["kept"] if pruned else []
    narration.check("old recovery points were pruned", deleted, f"{len(deleted)} deleted, {len(kept)} kept")
    narration.check("with a reason for each that stays", kept and all(item["reasons"] for item in kept))
    narration.check("never more than half a lineage at once", 0 < len(deleted) <= (HISTORY_DAYS + 2) / 2, len(deleted))
    return point


def _snapshots_of(demo: Demo, point: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = demo.ec2.describe_snapshots(
        OwnerIds=["self"], Filters=[{"Name": "tag:lifeboat:recovery-point", "Values": [point]}]
    )["Snapshots"]
    return found


def _disaster(demo: Demo, platform: str, image: str) -> str:
    """The data is encrypted, the instance is lost, its volume with it, and a fresh platform is deployed in another
    zone."""
    lost = demo.disk(platform, "/dev/sdh")["VolumeId"]
    demo_data.encrypt(demo, lost)
    demo.ec2.terminate_instances(InstanceIds=[platform])
    demo.wait_for("the platform is lost", lambda: demo.state(platform) == "terminated", PUBLISHED_WITHIN)
    demo.ec2.delete_volume(VolumeId=lost)
    demo.narration.add("aws", f"{platform} is terminated, its data volume {lost} deleted")
    fresh = demo.launch(image, "CadoResponse", console_disks(), OTHER_ZONE)
    demo.narration.add("person", f"deploys a fresh platform {fresh}, the console kind, in {OTHER_ZONE}")
    return fresh


def _ask(demo: Demo, fresh: str, proven: str) -> tuple[str, str]:
    """A person consents, checks the plan, and asks. The restore's id, and the volume it will displace."""
    narration = demo.narration
    displaced: str = demo.disk(fresh, "/dev/sdb")["VolumeId"]
    because = {"reason": "the platform was lost", "requested_by": "jo"}
    ask = {"instance_id": fresh, "recovery_point": "latest-proven", **because}
    refused = demo.invoke("RestoreVolumeFunction", "restore_volume/dry-run.json", ask)
    consent = [item["finding"] for item in refused.get("findings", []) if "create-tags" in item["finding"]]
    narration.check(
        "without a person's consent nothing is possible", consent and not refused.get("possible"), consent[:1]
    )
    demo.ec2.create_tags(Resources=[fresh, displaced], Tags=tag_list({"lifeboat:restore-target": "true"}))
    narration.add("person", f"tags {fresh} and {displaced} lifeboat:restore-target=true")
    plan = demo.invoke("RestoreVolumeFunction", "restore_volume/dry-run.json", ask)
    narration.check("then the dry run gives a plan", plan.get("possible"), shorten(plan.get("plan", plan)))
    demo_proof.check_plan(demo, plan.get("plan", ""), proven)
    begun = demo.invoke("RestoreVolumeFunction", "restore_volume/latest.json", ask)
    narration.add("person", f"sam remote invoke RestoreVolumeFunction: {begun.get('restore_id', shorten(begun))}")
    return begun.get("restore_id", ""), displaced


def _on_restored_volume(demo: Demo, fresh: str, displaced: str) -> None:
    def seen() -> str:
        now = demo.disk(fresh, "/dev/sdb").get("VolumeId", displaced)
        return now if now != displaced and demo.state(fresh) == "running" else ""

    volume = demo.wait_for("the swap", seen, RESTORED_WITHIN)
    demo.narration.check("the instance runs on another volume", volume, volume)
    demo.narration.add("aws", f"{fresh} runs with {volume} at /dev/sdb")
    demo.ec2.create_tags(Resources=[fresh], Tags=tag_list({"lifeboat:backup": "true"}))
    demo.narration.add("person", f"tags {fresh} lifeboat:backup=true")


def _restored(demo: Demo, fresh: str, *, restore_id: str, displaced: str, point: str, lineage: str, key: str) -> None:
    """What came back, in every detail."""
    narration = demo.narration
    done = demo.wait_for(
        "a reconcile run verifies the restore",
        lambda: demo.find_message("RestoreCompleted", instance_id=fresh),
        RESTORED_WITHIN,
    )
    narration.check("the restore completed", done, done and shorten(done["summary"]))
    restored = demo.disk(fresh, "/dev/sdb")
    source = tags_of(demo.ec2.describe_snapshots(SnapshotIds=[restored["SnapshotId"]])["Snapshots"][0])
    narration.equal("from the newest proven recovery point", source["lifeboat:recovery-point"], point)
    demo_data.check_came_back(demo, restored["VolumeId"], "the very bytes are back, as before the incident")
    narration.equal("the instance runs", demo.state(fresh), "running")
    narration.equal("the volume is in the fresh instance's zone", restored["AvailabilityZone"], OTHER_ZONE)
    expected = {"VolumeType": "gp3", "Iops": 4000, "Throughput": 200, "Size": 100, "Encrypted": True, "KmsKeyId": key}
    for name, value in expected.items():
        narration.equal(f"{name} as it was", restored.get(name), value)
    narration.equal("DeleteOnTermination as the displaced volume had it", restored["DeleteOnTermination"], False)
    tags = tags_of(restored)
    own = (tags.get("Name"), tags.get("team"))
    narration.equal("the volume's own tags came back", own, ("CadoResponseDataVolume", "forensics"))
    narration.equal("it continues the lineage", tags.get("lifeboat:chain"), lineage)
    old = demo.ec2.describe_volumes(VolumeIds=[displaced])["Volumes"][0]
    narration.equal(
        "the displaced volume is kept, attached to nothing", (old["State"], old["Attachments"]), ("available", [])
    )
    narration.equal("and says what displaced it", tags_of(old).get("lifeboat:displaced-by"), restore_id)
    steps = " ".join(done["next_steps"]) if done else ""
    narration.check("the message carries the Terraform commands", "terraform" in steps and "import" in steps)


def _goes_on(demo: Demo, fresh: str, lineage: str) -> None:
    """The next slot continues the lineage."""
    completed = demo.wait_for(
        "the next slot", lambda: demo.find_message("BackupCompleted", instance_id=fresh), SLOT + GOOD_WITHIN
    )
    seen = completed["details"]["lineages"] if completed else None
    demo.narration.equal("the next scheduled backup continues the same lineage", seen, [lineage])


def _clone(demo: Demo, fresh: str) -> None:
    """An instance launched from an image of the platform's VM is refused, and nothing is touched."""
    image = demo.ec2.create_image(InstanceId=fresh, Name="copy-of-the-platform", NoReboot=True)["ImageId"]
    demo.wait_for("an image of the platform's VM", lambda: demo.image_state(image) == "available", RESTORED_WITHIN)
    clone = demo.launch(image, "CadoResponse", console_disks(), OTHER_ZONE)
    disk = demo.disk(clone, "/dev/sdb")["VolumeId"]
    demo.ec2.create_tags(Resources=[clone, disk], Tags=tag_list({"lifeboat:restore-target": "true"}))
    demo.narration.add("person", f"starts a clone {clone} of the platform and asks for a restore onto it")
    mark = demo.aws.control.mark()
    ask = {"instance_id": clone, "recovery_point": "latest", "reason": "in a hurry", "requested_by": "jo"}
    answer = demo.invoke("RestoreVolumeFunction", "restore_volume/latest.json", ask)
    demo.narration.check(
        "a restore onto a clone is refused", "refused" in answer, shorten(answer.get("refused", answer))
    )
    demo.narration.check(
        "because of its image",
        any(item["code"].startswith("ami") for item in answer.get("findings", [])),
        [item["code"] for item in answer.get("findings", [])],
    )
    # DryRun asks whether a call would be allowed, and changes nothing.
    changes = sorted(
        call["action"]
        for call in demo.aws.control.calls(mark, service="ec2", caller="RestoreVolumeFunction")
        if not call["action"].startswith(("Describe", "Get")) and "DryRun=true" not in call["request"]
    )
    demo.narration.equal("and nothing was touched", (changes, demo.disk(clone, "/dev/sdb")["VolumeId"]), ([], disk))
    demo.wait_for(
        "the refusal is published", lambda: demo.find_message("RestoreRefused", instance_id=clone), PUBLISHED_WITHIN
    )


def letters(demo: Demo) -> list[Panel]:
    """The main e-mails that the operator got, as SNS sent them."""
    wanted = ("BackupCompleted", "SnapshotsPruned", "VerificationFailed", "RestoreCompleted", "RestoreRefused")
    return [
        Panel(Text(opening(letter["text"])), title=Text(letter["subject"]), title_align="left", width=148)
        for letter in chosen(demo.aws.control.emails(), wanted)
    ]


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; 0 if every check held."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--picture", action="store_true", help=f"also write {PICTURE.relative_to(ROOT)}")
    options = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 150)
    OUTPUT.mkdir(exist_ok=True)
    console.print(OPENING)
    aws = LocalAws({"delays": DELAYS}, begins=BEGINNING)
    narration = Narration(console, lambda: aws.control.now())  # noqa: PLW0108 its port is known once it runs
    narration.waiting("a local AWS starts")
    with narration, aws:
        narration.add("demo", f"a local AWS on {aws.endpoint}, account {HOME_ACCOUNT}, up in {aws.started_in:.1f} s")
        demo = Demo(aws, narration)
        try:
            play(demo)
        except Exception as problem:
            narration.check("the demo ran to its end", False, f"{type(problem).__name__}: {problem}")
            _keep(OUTPUT / "emulator.log", aws)
        else:
            narration.check("the demo ran to its end", True)
        mail = letters(demo)
    for letter in mail:
        console.print(letter)
    if not narration.ok:
        console.print(narration.failures())
    console.print(f"{narration.verdict} ({narration.seconds:.0f} s). {OUTPUT.name}/demo.json has each of them.")
    (OUTPUT / "demo.json").write_text(narration.as_json())
    narration.picture(PICTURE if options.picture else OUTPUT / "demo.svg")
    return 0 if narration.ok else 1


def _keep(path: Path, aws: LocalAws) -> None:
    path.write_text(aws.log_tail())


if __name__ == "__main__":
    sys.exit(main())
