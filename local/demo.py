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

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from acceptance import shared_steps
from acceptance.narration import Narration
from acceptance.operator import tag_list, tags_of
from acceptance.shared_steps import PUBLISHED_WITHIN, RESTORED_WITHIN
from local import demo_data, demo_proof, stack
from local.actors import VENDOR, Demo, console_disks, terraform_disks
from local.demo_region import deploy_twice, home_is_lost
from local.letters import chosen, opening
from local.session import HOME_ACCOUNT, REGION, ROOT, LocalAws

OUTPUT = ROOT / ".local"
PICTURE = ROOT / "docs" / "pictures" / "demo.svg"
HISTORY_DAYS = 40
BEGINNING = "2026-11-23T01:55:00+00:00"
SLOT = timedelta(hours=1)
"""From one slot to the next."""
GOOD_WITHIN = timedelta(minutes=15)
"""Of the slot: so soon its recovery point is good."""

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
    shared_steps.check_proven(demo, point)
    demo_proof.damage(demo, platform, lineage, point)
    fresh = _disaster(demo, platform, image)
    restore_id, displaced = _ask(demo, fresh, point)
    _on_restored_volume(demo, fresh, displaced)
    # The restored volume has to stay attached for the running window. Meanwhile a person is in a hurry.
    _clone(demo, fresh)
    _restored(demo, fresh, restore_id=restore_id, displaced=displaced, point=point, lineage=lineage, key=key)
    _goes_on(demo, fresh, lineage)
    demo.read_messages()
    shared_steps.check_no_failed_events(demo)
    home_is_lost(demo, away, platform=fresh, lineage=lineage)
    away.demo.read_messages()
    shared_steps.check_no_failed_events(away.demo)


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
    shared_steps.check_recovery_point(demo, point, lineage, VENDOR)
    tags = tags_of(next(iter(demo.snapshots_of(point)), {}))
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


def _disaster(demo: Demo, platform: str, image: str) -> str:
    """The data is encrypted, the instance is lost, its volume with it, and a fresh platform is deployed in another
    zone."""
    lost = demo.disk(platform, "/dev/sdh")["VolumeId"]
    demo_data.encrypt(demo, lost)
    demo.ec2.terminate_instances(InstanceIds=[platform])
    demo.wait_for("the platform is lost", lambda: demo.instance_state(platform) == "terminated", PUBLISHED_WITHIN)
    demo.ec2.delete_volume(VolumeId=lost)
    demo.narration.add("aws", f"{platform} is terminated, its data volume {lost} deleted")
    fresh = demo.launch(image, "CadoResponse", console_disks(), OTHER_ZONE)
    demo.narration.add("person", f"deploys a fresh platform {fresh}, the console kind, in {OTHER_ZONE}")
    return fresh


def _ask(demo: Demo, fresh: str, proven: str) -> tuple[str, str]:
    """A person consents, checks the plan, and asks. The restore's id, and the volume it will displace."""
    displaced: str = demo.disk(fresh, "/dev/sdb")["VolumeId"]
    because = {"reason": "the platform was lost", "requested_by": "jo"}
    ask = {"instance_id": fresh, "recovery_point": "latest-proven", **because}
    shared_steps.refuse_without_consent(demo, ask)
    demo.consent(fresh, displaced)
    demo.narration.add("person", f"tags {fresh} and {displaced} lifeboat:restore-target=true")
    demo_proof.check_plan(demo, shared_steps.check_plan(demo, ask), proven)
    return shared_steps.ask_for_restore(demo, ask), displaced


def _on_restored_volume(demo: Demo, fresh: str, displaced: str) -> None:
    volume = shared_steps.wait_for_swap(demo, fresh, "/dev/sdb", displaced)
    demo.narration.add("aws", f"{fresh} runs with {volume} at /dev/sdb")
    demo.ec2.create_tags(Resources=[fresh], Tags=tag_list({"lifeboat:backup": "true"}))
    demo.narration.add("person", f"tags {fresh} lifeboat:backup=true")


def _restored(demo: Demo, fresh: str, *, restore_id: str, displaced: str, point: str, lineage: str, key: str) -> None:
    """What came back, in every detail."""
    narration = demo.narration
    done = shared_steps.wait_for_restored(demo, fresh)
    restored = demo.disk(fresh, "/dev/sdb")
    source = tags_of(demo.ec2.describe_snapshots(SnapshotIds=[restored["SnapshotId"]])["Snapshots"][0])
    narration.equal("from the newest proven recovery point", source["lifeboat:recovery-point"], point)
    demo_data.check_came_back(demo, restored["VolumeId"], "the very bytes are back, as before the incident")
    narration.equal("the instance runs", demo.instance_state(fresh), "running")
    narration.equal("the volume is in the fresh instance's zone", restored["AvailabilityZone"], OTHER_ZONE)
    expected = {"VolumeType": "gp3", "Iops": 4000, "Throughput": 200, "Size": 100, "Encrypted": True, "KmsKeyId": key}
    own = {"Name": "CadoResponseDataVolume", "team": "forensics"}
    shared_steps.check_restored(demo, restored, expected, own, lineage)
    narration.equal("DeleteOnTermination as the displaced volume had it", restored["DeleteOnTermination"], False)
    shared_steps.check_displaced(demo, displaced, restore_id)
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
    demo.narration.add("person", f"starts a clone {clone} of the platform")
    mark = demo.aws.control.mark()
    ask = {"recovery_point": "latest", "reason": "in a hurry", "requested_by": "jo"}
    shared_steps.refuse_clone(demo, clone, "/dev/sdb", ask)
    # DryRun asks whether a call would be allowed, and changes nothing.
    changes = sorted(
        call["action"]
        for call in demo.aws.control.calls(mark, service="ec2", caller="RestoreVolumeFunction")
        if not call["action"].startswith(("Describe", "Get")) and "DryRun=true" not in call["request"]
    )
    demo.narration.equal("and nothing was called", changes, [])


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
