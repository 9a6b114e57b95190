"""The steps of a run, in their order. One that was cut off is begun again, and makes nothing twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from acceptance import known_bytes, shared_steps
from acceptance.deploy import Deploy
from acceptance.narration import shorten
from acceptance.operator import tag_list, tags_of
from acceptance.run import Run
from acceptance.state import SELECT, STACK_NAME

DEVICE = "/dev/sdf"
INSTANCE_TYPE = "t3.nano"
IMAGES = "al2023-ami-2023.*-kernel-6.1-x86_64"
SCHEDULE, SLOT_WITHIN = "cron(0/10 * * * ? *)", timedelta(minutes=25)
"""Every ten minutes, and the snapshot's time; on the first day only one instance is selected, for one slot."""
SETTINGS = ("VolumeType", "Size", "Iops", "Throughput", "Encrypted")
ASKED = {"reason": "make acceptance", "requested_by": "make acceptance"}


def listen(run: Run) -> None:
    """A queue that gets EC2's events by a rule of its own, and later Lifeboat's messages."""
    queue = run.make("queue", lambda _: _create_queue(run), lambda _: _find_queue(run))
    run.mailbox = queue
    arn, events = run.queue_arn(queue), run.client("events")
    pattern = json.dumps({"source": ["aws.ec2"]})
    tags = tag_list(run.state.tags("rule"))
    rule: str = events.put_rule(Name=run.state.name, EventPattern=pattern, Tags=tags)["RuleArn"]
    run.state.keep("rule", rule)
    run.let_send(queue, arn, {"events.amazonaws.com": rule})
    events.put_targets(Rule=run.state.name, Targets=[{"Id": "queue", "Arn": arn}])


def _create_queue(run: Run) -> str:
    url: str = run.sqs.create_queue(QueueName=run.state.name, tags=run.state.tags("queue"))["QueueUrl"]
    return url


def _find_queue(run: Run) -> str | None:
    return next(iter(run.sqs.list_queues(QueueNamePrefix=run.state.name).get("QueueUrls", [])), None)


def choose(run: Run) -> None:
    """The image and the two subnets."""
    images = run.ec2.describe_images(
        Owners=["amazon"],
        Filters=[{"Name": "name", "Values": [IMAGES]}, {"Name": "state", "Values": ["available"]}],
    )["Images"]
    image = max(images, key=lambda item: str(item["CreationDate"]))
    run.state.facts |= {
        "image": image["ImageId"],
        "image owner": image["OwnerId"],
        "root": image["RootDeviceName"],
    }
    run.state.save()
    run.narration.add("aws", f"the newest Amazon Linux is {image['ImageId']}, of {image['OwnerId']}")


def deploy(run: Run, with_tool: Deploy) -> None:
    """The real template, under a name and a tag of its own, with the topic's messages on the queue."""
    s3 = run.client("s3")
    run.state.intend("bucket")
    if run.state.bucket not in {item["Name"] for item in s3.list_buckets()["Buckets"]}:
        place = {"LocationConstraint": run.state.region}
        here = {} if run.state.region == "us-east-1" else {"CreateBucketConfiguration": place}
        s3.create_bucket(Bucket=run.state.bucket, **here)
    s3.put_bucket_tagging(Bucket=run.state.bucket, Tagging={"TagSet": tag_list(run.state.tags("bucket"))})
    run.state.intend("stack")
    parameters = {
        "Schedule": SCHEDULE,
        "SelectTagKey": SELECT,
        "SelectTagValue": run.state.run,
        "TrustedAmiOwners": run.state.facts["image owner"],
        "LogRetentionDays": "1",
    }
    run.must("CloudFormation is done with the stack of an attempt that was cut off", lambda: _is_at_rest(run))
    with_tool(run.state, parameters)
    [stack] = run.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
    done = stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    run.narration.check("the stack is deployed", done, stack["StackStatus"])
    run.outputs = {item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]}
    run.state.facts["outputs"] = run.outputs
    run.state.save()
    rule, topic = run.state.made["rule"], run.outputs["NotificationTopicArn"]
    run.subscribe(run.mailbox)
    senders = {"events.amazonaws.com": rule, "sns.amazonaws.com": topic}
    run.let_send(run.mailbox, run.queue_arn(run.mailbox), senders)
    run.narration.add("person", f"sam deploy: the real template as {STACK_NAME}")


def _is_at_rest(run: Run) -> bool:
    """Whether `sam deploy` may begin: there is no stack, one that was only reviewed, or one that nothing changes."""
    try:
        [stack] = run.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] == "ValidationError":
            return True
        raise
    status = stack["StackStatus"]
    return status == "REVIEW_IN_PROGRESS" or not status.endswith("_IN_PROGRESS")


def write_bytes(run: Run) -> None:
    """A snapshot that holds known bytes, and a volume of it. No login, no agent."""
    ebs = run.client("ebs")

    def start(token: str) -> str:
        started = ebs.start_snapshot(
            VolumeSize=known_bytes.VOLUME_GIB, ClientToken=token, Tags=tag_list(run.state.tags("known bytes"))
        )
        snapshot_id: str = started["SnapshotId"]
        return snapshot_id

    snapshot = run.make("known bytes", start, run.find_snapshot)
    if not run.state.facts.get("sealed"):
        try:
            known_bytes.write(ebs, snapshot)
        except (ebs.exceptions.ValidationException, ebs.exceptions.ConflictException):
            # An attempt that was cut off had sealed it.
            run.narration.add("acceptance", f"{snapshot} takes no more blocks")
        run.state.facts["sealed"] = True
        run.state.save()
    run.must("the snapshot of known bytes is completed", lambda: snapshot_state(run, snapshot) == "completed")
    run.narration.add("person", f"writes {len(known_bytes.blocks())} known blocks into {snapshot}")

    def create(token: str) -> str:
        volume_id: str = run.ec2.create_volume(
            SnapshotId=snapshot,
            AvailabilityZone=run.state.facts["zones"][0],
            VolumeType="gp3",
            Encrypted=True,
            ClientToken=token,
            TagSpecifications=[{"ResourceType": "volume", "Tags": tag_list(run.state.tags("data"))}],
        )["VolumeId"]
        return volume_id

    volume = run.make("data", create, run.find_volume)
    run.must("the data volume is available", lambda: volume_state(run, volume) in ("available", "in-use"))


def snapshot_state(run: Run, snapshot_id: str) -> str:
    state: str = run.ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]["State"]
    return state


def volume_state(run: Run, volume_id: str) -> str:
    state: str = run.ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]["State"]
    return state


def launch(run: Run, role: str, image: str, place: int, *, with_data: bool = True) -> str:
    """A small instance in one of the two subnets, running; with an empty data volume."""
    root = {"DeviceName": run.state.facts["root"], "Ebs": {"VolumeType": "gp3", "DeleteOnTermination": True}}
    data = {
        "DeviceName": DEVICE,
        "Ebs": {"VolumeType": "gp3", "VolumeSize": known_bytes.VOLUME_GIB, "DeleteOnTermination": False},
    }

    def create(token: str) -> str:
        tags = run.state.tags(role)
        where = {"SubnetId": run.state.facts["subnets"][place], "ClientToken": token}
        return run.run_instance(image, INSTANCE_TYPE, [root, data] if with_data else [root], tags, tags, **where)

    instance_id = run.make(role, create, run.find_instance)
    run.wait_until_running(instance_id, f"the {role}")
    return instance_id


def protect(run: Run) -> None:
    """A small instance with the data volume, selected for backups."""
    source, data = launch(run, "source", run.state.facts["image"], 0, with_data=False), run.state.made["data"]
    if volume_state(run, data) != "in-use":
        run.ec2.attach_volume(VolumeId=data, InstanceId=source, Device=DEVICE)

    def attached() -> bool:
        volume = run.ec2.describe_volumes(VolumeIds=[data])["Volumes"][0]
        return [item["State"] for item in volume["Attachments"]] == ["attached"]

    run.must("the data volume is attached", attached)
    run.ec2.create_tags(Resources=[source], Tags=tag_list({SELECT: run.state.run}))
    run.narration.add("person", f"tags {source} {SELECT}={run.state.run}")


def back_up(run: Run) -> None:
    """The schedule fires by itself, the recovery point is confirmed; then the instance is selected no more."""
    source = run.state.made["source"]
    completed = run.wait_for(
        "the schedule fires by itself, and the snapshot completes",
        lambda: run.find_message("BackupCompleted", instance_id=source),
        SLOT_WITHIN,
    )
    run.narration.check("the schedule fired by itself and the recovery point is good", completed)
    if not completed:
        raise RuntimeError("there is no recovery point to go on with")
    point = completed["subject"]["recovery_point"]
    run.state.keep("recovery point", point)
    run.ec2.delete_tags(Resources=[source], Tags=[{"Key": SELECT}])
    shared_steps.check_recovery_point(run, point, run.state.made["data"], run.state.facts["image owner"])


def verify(run: Run) -> None:
    """The recovery point is read back."""
    shared_steps.check_proven(run, run.state.made["recovery point"])


def prune(run: Run) -> None:
    """A dry run of retention deletes nothing on the first day."""
    answer = run.invoke("PruneSnapshotsFunction", "prune_snapshots/dry-run.json")
    run.narration.equal("a dry run of retention would delete nothing", answer.get("delete"), [])
    run.narration.check("and gives a reason for each that stays", _reasons(answer), shorten(answer.get("kept")))


def _reasons(answer: Mapping[str, Any]) -> bool:
    kept = answer.get("kept", [])
    return bool(kept) and all(item["reasons"] for item in kept)


def restore(run: Run) -> None:
    """A second fresh instance in another zone gets the data."""
    target = launch(run, "target", run.state.facts["image"], 1)
    ask = {"instance_id": target, "recovery_point": run.state.made["recovery point"], **ASKED}
    if "displaced" not in run.state.made:
        run.state.keep("displaced", run.disk(target, DEVICE)["VolumeId"])
    displaced = run.state.made["displaced"]
    if "restore" not in run.state.made:
        shared_steps.refuse_without_consent(run, ask)
        run.consent(target, displaced)
        shared_steps.check_plan(run, ask)
        wanted = {**ask, "request_id": f"{run.state.run}-restore"}
        run.state.keep("restore", shared_steps.ask_for_restore(run, wanted))
    shared_steps.wait_for_swap(run, target, DEVICE, displaced)
    shared_steps.wait_for_restored(run, target)
    restored = run.disk(target, DEVICE)
    run.state.keep("restored", restored["VolumeId"])
    data = run.ec2.describe_volumes(VolumeIds=[run.state.made["data"]])["Volumes"][0]
    run.narration.equal("the volume is in the fresh instance's zone", restored["AvailabilityZone"], zone(run, 1))
    own = {key: value for key, value in tags_of(data).items() if not key.startswith("lifeboat:")}
    settings = {name: data.get(name) for name in SETTINGS}
    shared_steps.check_restored(run, restored, settings, own, run.state.made["data"])
    shared_steps.check_displaced(run, displaced, run.state.made["restore"])


def zone(run: Run, place: int) -> str:
    found: str = run.state.facts["zones"][place]
    return found


def compare(run: Run) -> None:
    """The restored volume's bytes, through a snapshot of it."""

    def create(_: str) -> str:
        wanted = [{"ResourceType": "snapshot", "Tags": tag_list(run.state.tags("restored bytes"))}]
        made = run.ec2.create_snapshot(VolumeId=run.state.made["restored"], TagSpecifications=wanted)
        snapshot_id: str = made["SnapshotId"]
        return snapshot_id

    snapshot = run.make("restored bytes", create, run.find_snapshot)
    run.must("a snapshot of the restored volume", lambda: snapshot_state(run, snapshot) == "completed")
    found = run.must("EBS serves its blocks", lambda: _read(run, snapshot))
    run.narration.equal("the very bytes came back, block by block", found["wrong"], [])


def _read(run: Run, snapshot: str) -> dict[str, Any] | None:
    ebs = run.client("ebs")
    try:
        return {"wrong": known_bytes.differences(ebs, snapshot)}
    except ebs.exceptions.ResourceNotFoundException:  # for about a minute
        return None


def roll_back(run: Run) -> None:
    """A restore under a key that EC2 may not use rolls back, and the instance is as it was."""
    target, restored = run.state.made["target"], run.state.made["restored"]
    key = run.make("key", lambda _: _create_key(run), lambda _: find_key(run))
    if "roll back" not in run.state.made:
        run.consent(target, restored)
        ask = {
            "instance_id": target,
            "recovery_point": run.state.made["recovery point"],
            "volume": {"encrypted": True, "kms_key_id": key},
            "request_id": f"{run.state.run}-roll-back",
            **ASKED,
        }
        run.state.keep("roll back", shared_steps.ask_for_restore(run, ask))
    found = run.wait_for(
        "the restore under a key that may not be used rolls back",
        lambda: run.find_message("RestoreRolledBack", instance_id=target),
        shared_steps.RESTORED_WITHIN,
    )
    run.narration.check("a key that may not be used rolls the restore back", found, found and shorten(found["summary"]))
    now = (run.instance_state(target), run.disk(target, DEVICE).get("VolumeId"))
    run.narration.equal("and the instance runs on the volume it had", now, ("running", restored))


def _create_key(run: Run) -> str:
    """Only its administration is allowed, to the account: no role can let EC2 use it."""
    account = f"arn:{run.state.facts.get('partition', 'aws')}:iam::{run.state.account}:root"
    allowed = ["kms:Describe*", "kms:Get*", "kms:List*", "kms:Put*", "kms:TagResource", "kms:ScheduleKeyDeletion"]
    statement = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": allowed, "Resource": "*"}
    tags = [{"TagKey": key, "TagValue": value} for key, value in run.state.tags("key").items()]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = run.client("kms").create_key(Policy=policy, Tags=tags, Description=f"{run.state.name}, not to be used")
    arn: str = made["KeyMetadata"]["Arn"]
    return arn


def find_key(run: Run) -> str | None:
    """The run's key, if it was not deleted: by its description if its id was not kept. KMS has no client token."""
    kms = run.client("kms")
    if "key" in run.state.made:
        known = kms.describe_key(KeyId=run.state.made["key"])["KeyMetadata"]
        return run.state.made["key"] if known["KeyState"] == "Enabled" else None
    for page in kms.get_paginator("list_keys").paginate():
        for key in page["Keys"]:
            found = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
            if found.get("Description", "").startswith(run.state.name) and found["KeyState"] == "Enabled":
                arn: str = found["Arn"]
                return arn
    return None


def clone(run: Run) -> None:
    """An instance of an image of the source is refused as a target."""

    def create(name: str) -> str:
        tags = tag_list(run.state.tags("image"))
        made = run.ec2.create_image(
            InstanceId=run.state.made["source"],
            Name=f"{run.state.name}-{name}",
            NoReboot=True,
            TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")],
        )
        image_id: str = made["ImageId"]
        return image_id

    image = run.make("image", create, run.find_image)
    run.must("an image of the source", lambda: run.image_state(image) == "available")
    instance_id = launch(run, "clone", image, 0)
    ask = {"recovery_point": run.state.made["recovery point"], **ASKED}
    shared_steps.refuse_clone(run, instance_id, DEVICE, ask)


def ask_to_be_refused(run: Run) -> None:
    """Calls that EC2 refuses: their codes are part of what the local AWS claims."""
    ec2, made = run.ec2, run.state.made
    of_image = ec2.describe_images(ImageIds=[made["image"]])["Images"][0]["BlockDeviceMappings"]
    snapshot = next(item["Ebs"]["SnapshotId"] for item in of_image if item["DeviceName"] == run.state.facts["root"])
    data, source, displaced = made["data"], made["source"], made["displaced"]
    calls: Mapping[str, Callable[[], Any]] = {
        "a snapshot that an image uses is not deleted": lambda: ec2.delete_snapshot(SnapshotId=snapshot),
        "a volume that is attached is not deleted": lambda: ec2.delete_volume(VolumeId=data),
        "a volume is attached in its own zone only": lambda: ec2.attach_volume(
            VolumeId=displaced, InstanceId=source, Device="/dev/sdg"
        ),
        "a device is used once": lambda: ec2.attach_volume(VolumeId=data, InstanceId=source, Device=DEVICE),
        "a key needs encryption": lambda: ec2.create_volume(
            Size=1, AvailabilityZone=zone(run, 0), KmsKeyId=made["key"]
        ),
        "a DryRun is answered by a refusal": lambda: ec2.delete_volume(VolumeId=displaced, DryRun=True),
    }
    for name, call in calls.items():
        try:
            call()
        except ClientError as refusal:
            run.narration.check(f"EC2 refuses: {name}", True, refusal.response["Error"]["Code"])
        else:
            run.narration.check(f"EC2 refuses: {name}", False, "it was granted")
    shared_steps.check_no_failed_events(run)


def steps(with_tool: Deploy) -> dict[str, Callable[[Run], None]]:
    """All steps by their names; deleting everything follows them, whatever became of them."""
    return {
        "listen": listen,
        "choose": choose,
        "deploy": partial(deploy, with_tool=with_tool),
        "write bytes": write_bytes,
        "protect": protect,
        "back up": back_up,
        "verify": verify,
        "prune": prune,
        "restore": restore,
        "compare": compare,
        "roll back": roll_back,
        "clone": clone,
        "ask to be refused": ask_to_be_refused,
    }
