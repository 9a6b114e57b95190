"""The EBS direct APIs in the process of the simulator, run by `test_blocks.py` in the local AWS's own environment."""

from local.emulator.ec2 import blocks
from local.emulator.ec2.model import WORLD
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


if __name__ == "__main__":
    stage.FUNCTIONS.clear()  # no handler runs here, so none is imported
    stage.begin()
    stage.begin_time("2031-03-03T00:00:30+00:00")
    print(stage.in_background(read))
