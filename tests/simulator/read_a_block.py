"""EBS direct APIs and S3 in the process of the simulator. `test_blocks.py` runs it in the local AWS's environment."""

import boto3

from local.emulator.ebs import quotas
from local.emulator.ebs.answers import EbsError
from local.emulator.ec2 import blocks
from local.emulator.ec2.model import WORLD
from local.emulator.settings import SETTINGS
from local.simulator import stage
from local.simulator.machine import MACHINE


def read() -> str:
    """What a block of a snapshot begins with."""
    ec2, ebs = stage.client("ec2"), stage.client("ebs")
    volume_id = ec2.create_volume(AvailabilityZone=f"{stage.REGION}a", Size=4)["VolumeId"]
    MACHINE.sleep(60)
    volume = WORLD.region(stage.REGION).volumes[volume_id]
    blocks.write(volume.blocks, 0, b"data", volume.size)
    snapshot_id = ec2.create_snapshot(VolumeId=volume_id)["SnapshotId"]
    MACHINE.sleep(600)
    [listed] = ebs.list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"]
    content: bytes = ebs.get_snapshot_block(SnapshotId=snapshot_id, **listed)["BlockData"].read()
    return content[:4].decode()


def kept() -> str:
    """What comes back of an object. As the functions' clients do, the client names the bucket in the host."""
    stage.client("s3").create_bucket(Bucket="manifests", CreateBucketConfiguration={"LocationConstraint": stage.REGION})
    s3 = boto3.client("s3", stage.REGION, aws_access_key_id=stage.HOME_ACCOUNT, aws_secret_access_key="x")
    s3.put_object(Bucket="manifests", Key="digests/snap 1", Body=b"digests")
    content: bytes = s3.get_object(Bucket="manifests", Key="digests/snap 1")["Body"].read()
    return f"{content.decode()} of {stage.client('s3').list_objects_v2(Bucket='manifests')['Contents'][0]['Key']}"


def granted(*snapshot_ids: str) -> str:
    """How many blocks of these snapshots are granted at once, in turn, and what ends it."""
    SETTINGS.throttling = True
    for number in range(10_000):
        try:
            quotas.take(stage.HOME, "GetSnapshotBlock", snapshot_ids[number % len(snapshot_ids)])
        except EbsError as refusal:
            return f"{number} {refusal.reason}"
    return "all"


if __name__ == "__main__":
    stage.FUNCTIONS.clear()  # no handler runs here, so none is imported
    stage.begin()
    stage.begin_time("2031-03-03T00:00:30+00:00")
    print(stage.in_background(read))
    print(stage.in_background(kept))
    print(granted("snap-1"))
    print(granted("snap-2", "snap-3", "snap-4", "snap-5", "snap-6"))
