"""The people of a world: who made it, and who does things in it at any moment, careful or not."""

import json
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from ministack.services import lambda_svc

from local.emulator.clock import CLOCK
from local.emulator.ec2 import seeds
from local.emulator.ec2.model import WORLD, Instance, Snapshot, Volume
from local.emulator.scope import Scope
from local.simulator import plan as plans
from local.simulator import stage
from local.simulator.examiners import Examiners
from local.simulator.machine import MACHINE
from local.simulator.plan import Disk, Happening, Machine

VENDOR = "055430919509"
HOME = Scope(stage.HOME_ACCOUNT, stage.REGION)
CONSENT = "lifeboat:restore-target"


class People:
    """Builders and operators.

    `touched` is when a person last changed a thing: what a person does at the very moment is nobody else's fault.
    """

    def __init__(self, plan: plans.Plan, publish: Callable[[str], None]) -> None:
        self.plan = plan
        self._publish = publish
        self.parameters = dict(plan.parameters)
        self.parameters_of: dict[Scope, Mapping[str, str]] = {HOME: self.parameters}
        self.stacks: dict[Scope, Mapping[str, str]] = {}
        """The outputs of each stack."""
        self.touched: dict[object, float] = {}
        self.tagged: set[str] = set()
        self.keys: list[str] = []
        self.outputs: dict[str, str] = {}
        self.restores: list[str] = []
        self.policy_changed_at = 0.0
        self.lowest_floor = int(self.parameters["MinimumKept"])
        self.asked: Callable[[str, Mapping[str, Any]], None] = lambda _restore_id, _request: None
        self._acts: dict[str, Callable[[Happening], object]] = {
            "restore": self._restore,
            "restore elsewhere": self._restore_elsewhere,
            "restore twice": self._restore_twice,
            "cancel": self._cancel,
            "detach": self._detach,
            "detach target": self._detach_target,
            "attach": self._attach,
            "new volume": self._new_volume,
            "terminate": self._terminate,
            "terminate target": self._terminate_target,
            "launch": self._launch_another,
            "stop or start": self._stop_or_start,
            "stop or start target": self._stop_or_start_target,
            "backup tag": self._backup_tag,
            "consent tag": self._consent_tag,
            "retention tag": self._retention_tag,
            "hold": self._hold,
            "delete snapshot": self._delete_snapshot,
            "delete volume": self._delete_volume,
            "policy": self._policy,
            "protect": self._protect,
            "backup": self._backup,
            "backup twice": self._backup_twice,
            "prune": self._prune,
            "prune elsewhere": self._prune_elsewhere,
            "hold copy": self._hold_copy,
            "delete copy": self._delete_copy,
            "copy again": self._copy_again,
            "grow": self._grow,
        }
        self.examiners = Examiners(self)
        self._acts.update(self.examiners.acts)

    # --- building

    def build(self) -> None:
        """Keys, images, the stack, and the instances, until all of it is ready."""
        for place in range(2):
            made = stage.client("kms").create_key(Description=f"key {place}")["KeyMetadata"]
            self.keys.append(made["Arn"])
        self.image = seeds.image(
            HOME, {"owner": VENDOR, "name": "CadoResponse_v2.100.0", "root_size": 10, "public": True}
        )["image_id"]
        self.foreign = seeds.image(
            HOME, {"owner": "999988887777", "name": "someone's", "root_size": 8, "public": True}
        )["image_id"]
        self._deploy()
        for machine in self.plan.machines:
            self._launch(machine)
        self.examiners.begin()

    def _deploy(self) -> None:
        """The stack, and those of the places that recovery points are carried to."""
        carrying = self.plan.carrying
        if carrying.region:
            self.parameters["CopyToRegions"] = stage.AWAY.region
            self.parameters["CopyExisting"] = "true" if self.plan.seed % 2 else "false"
            if carrying.own_keys:
                self.parameters["CopyKmsKeyArns"] = self._key(stage.AWAY)
        if carrying.vault:
            self.parameters["VaultAccount"] = stage.VAULT.account
        self.outputs = stage.deploy(self.parameters)
        self.stacks[HOME] = self.outputs
        shared = {**self.plan.parameters, **carrying.parameters}
        if carrying.region:
            elsewhere = {"HomeRegion": stage.REGION, "RestoreFromRegions": stage.REGION}
            self._deploy_at(stage.AWAY, {**shared, **elsewhere})
        if carrying.vault:
            of_vault = {
                "VaultSourceAccounts": stage.HOME_ACCOUNT,
                "VaultReaderRoleArns": self.outputs["VaultReaderRoleArn"],
                "VaultKmsKeyArn": self._key(stage.VAULT),
                "LockMode": "governance",
                "LockDays": "1",
            }
            self._deploy_at(stage.VAULT, {**shared, **of_vault})

    def _deploy_at(self, place: Scope, parameters: Mapping[str, str]) -> None:
        self.parameters_of[place] = parameters
        self.stacks[place] = stage.deploy(parameters, place)

    @staticmethod
    def _key(place: Scope) -> str:
        made = stage.client("kms", place.region, place.account).create_key(Description=f"copies in {place}")
        return str(made["KeyMetadata"]["Arn"])

    def touched_since(self, since: float, *things: object) -> bool:
        """Whether a person changed one of these since; a place stands for any copy there."""
        return any(self.touched.get(item, -1.0) >= since for item in things)

    def begin(self) -> None:
        """In most worlds a person begins with a backup of everything."""
        if self.plan.seed % 4:
            MACHINE.spawn(lambda: self.invoke("TakeSnapshotsFunction", {}), "the first backup")

    def _launch(self, machine: Machine) -> str:
        ec2 = stage.client("ec2")
        at_launch = [self._mapping(disk) for disk in machine.disks if not disk.attached_later]
        launched = ec2.run_instances(
            ImageId=self.image if machine.trusted else self.foreign,
            InstanceType="m5.4xlarge",
            MinCount=1,
            MaxCount=1,
            Placement={"AvailabilityZone": f"{stage.REGION}{machine.zone}"},
            BlockDeviceMappings=at_launch,
            TagSpecifications=[{"ResourceType": "instance", "Tags": _tags(machine.tags)}],
        )["Instances"][0]["InstanceId"]
        MACHINE.run_until(CLOCK.now() + 20)
        for disk in machine.disks:
            if disk.attached_later:
                volume = ec2.create_volume(
                    AvailabilityZone=f"{stage.REGION}{machine.zone}", **self._volume(disk, machine)
                )
                MACHINE.run_until(CLOCK.now() + 10)
                ec2.attach_volume(VolumeId=volume["VolumeId"], InstanceId=launched, Device=disk.device)
        MACHINE.run_until(CLOCK.now() + 10)
        if machine.stopped:
            ec2.stop_instances(InstanceIds=[launched])
            MACHINE.run_until(CLOCK.now() + 40)
        return str(launched)

    def _encryption(self, disk: Disk) -> dict[str, Any]:
        if disk.encryption == "none":
            return {}
        key = {"KmsKeyId": self.keys[int(disk.encryption[-1])]} if disk.encryption.startswith("key") else {}
        return {"Encrypted": True, **key}

    def _mapping(self, disk: Disk) -> dict[str, Any]:
        ebs = {"VolumeSize": disk.size, "VolumeType": disk.type, "DeleteOnTermination": disk.delete_on_termination}
        return {
            "DeviceName": disk.device,
            "Ebs": {**ebs, **({"Iops": disk.iops} if disk.iops else {}), **self._encryption(disk)},
        }

    def _volume(self, disk: Disk, machine: Machine) -> dict[str, Any]:
        tags = {} if machine.untagged_volumes else {"Name": f"{machine.name} {disk.device}", **disk.tags}
        wanted = {"Size": disk.size, "VolumeType": disk.type, **({"Iops": disk.iops} if disk.iops else {})}
        tagged = {"TagSpecifications": [{"ResourceType": "volume", "Tags": _tags(tags)}]} if tags else {}
        return {**wanted, **self._encryption(disk), **tagged}

    # --- acting

    def act(self, happening: Happening) -> None:
        """Do it, in a greenlet of its own; what AWS refuses is part of life."""

        def do() -> None:
            try:
                said = self._acts[happening.kind](happening)
            except ClientError as refusal:
                said = f"refused: {refusal.response['Error']['Code']}"
            if said:
                self._publish(f"person {happening.number} {happening.kind}: {said}")

        MACHINE.spawn(do, f"a person: {happening.kind}")

    def _touch(self, *ids: object) -> None:
        for item in ids:
            self.touched[item] = CLOCK.now()

    def _instances(self, *states: str) -> list[Instance]:
        known = WORLD.region(stage.REGION).instances.values()
        return [item for item in known if item.state in (states or ("running", "stopped"))]

    def _volumes(self) -> dict[str, Volume]:
        return WORLD.region(stage.REGION).volumes

    def _data(self, instance: Instance) -> list[str]:
        return [volume for device, volume in sorted(instance.devices.items()) if device != instance.root_device_name]

    def _snapshots(self) -> list[Snapshot]:
        known = WORLD.region(stage.REGION).snapshots.values()
        ours = [item for item in known if item.owner == HOME.account]
        return [item for item in ours if "lifeboat:recovery-point" in item.tags]

    def invoke(self, function: str, event: Mapping[str, Any], place: Scope = HOME) -> Any:
        """Invoke a function and wait for its answer."""
        name = self.stacks[place][function]
        record, config, _name = place.run(lambda: lambda_svc._get_func_record_for_ref(name))
        execution = place.run(lambda: lambda_svc._execution_record_for_config(record, config))
        outcome = place.run(lambda: lambda_svc._execute_function(execution, dict(event)))
        return outcome.get("body")

    def _elsewhere(self, happening: Happening) -> Scope | None:
        return happening.pick([place for place in self.stacks if place != HOME])

    def _copies(self, place: Scope) -> list[Snapshot]:
        known = WORLD.region(place.region).snapshots.values()
        return [item for item in known if item.owner == place.account and "lifeboat:copy-of" in item.tags]

    def _prune_elsewhere(self, happening: Happening) -> str:
        place = self._elsewhere(happening)
        return str(self.invoke("PruneSnapshotsFunction", {"prune": True}, place))[:150] if place else ""

    def _hold_copy(self, happening: Happening) -> str:
        place = self._elsewhere(happening)
        snapshot = happening.pick(self._copies(place), 1) if place else None
        if place is None or snapshot is None:
            return ""
        key = "lifeboat:hold" if happening.which[2] < 0.7 else "lifeboat:shared"
        self._touch(place)
        ec2 = stage.client("ec2", place.region, place.account)
        ec2.create_tags(Resources=[snapshot.snapshot_id], Tags=_tags({key: "simulated"}))
        return f"tags the copy {snapshot.snapshot_id} {key}"

    def _delete_copy(self, happening: Happening) -> str:
        place = self._elsewhere(happening)
        snapshot = happening.pick(self._copies(place), 1) if place else None
        if place is None or snapshot is None:
            return ""
        self._touch(place, snapshot.snapshot_id)
        stage.client("ec2", place.region, place.account).delete_snapshot(SnapshotId=snapshot.snapshot_id)
        return f"the copy {snapshot.snapshot_id}"

    def _copy_again(self, happening: Happening) -> str:
        del happening
        return str(self.invoke("CopySnapshotsFunction", {"retry": True}))[:150] if len(self.stacks) > 1 else ""

    def restore_elsewhere(self, instance_id: str, devices: Collection[str]) -> dict[str, Any]:
        """Home is gone: a fresh platform in the other region, and at its devices what was copied of an instance."""
        place = stage.AWAY
        image = seeds.image(place, {"owner": VENDOR, "name": "CadoResponse_v2.100.0", "root_size": 10, "public": True})
        ec2 = stage.client("ec2", place.region, place.account)
        fresh = ec2.run_instances(
            ImageId=image["image_id"],
            InstanceType="m5.4xlarge",
            MinCount=1,
            MaxCount=1,
            Placement={"AvailabilityZone": f"{place.region}a"},
            BlockDeviceMappings=[{"DeviceName": device, "Ebs": {"VolumeSize": 8}} for device in sorted(devices)],
            TagSpecifications=[
                {"ResourceType": kind, "Tags": _tags({"Name": "fresh", CONSENT: "true"})}
                for kind in ("instance", "volume")
            ],
        )["Instances"][0]["InstanceId"]
        MACHINE.sleep(120)
        request = {
            "instance_id": fresh,
            "recovery_point": {"instance_id": instance_id},
            "requested_by": "a person",
            "reason": "the home region is gone",
        }
        answer = self.invoke("RestoreVolumeFunction", request, place)
        return dict(answer) if isinstance(answer, dict) else {"answer": answer}

    def _last_target(self) -> Instance | None:
        """The instance that the last restore was asked for."""
        return WORLD.region(stage.REGION).instances.get(self.restores[-1]) if self.restores else None

    def _target(self, happening: Happening) -> Instance | None:
        candidates = [item for item in self._instances() if self._data(item)] or self._instances()
        return happening.pick(candidates)

    def _consent(self, instance: Instance) -> None:
        wanted = [instance.instance_id, *self._data(instance)]
        stage.client("ec2").create_tags(Resources=wanted, Tags=_tags({CONSENT: "true"}))

    def _restore(self, happening: Happening) -> str:
        target = self._target(happening)
        if target is None:
            return ""
        own = [item for item in self._snapshots() if item.tags.get("lifeboat:instance") == target.instance_id]
        own = [item for item in own if item.state == "completed"]
        choice: Any = "latest"
        if own and happening.which[1] > 0.35:
            chosen = happening.pick(own, 2)
            choice = (
                chosen.tags["lifeboat:recovery-point"]
                if chosen and happening.which[1] < 0.8
                else {"instance_id": target.instance_id}
            )
        if isinstance(choice, dict) and happening.which[3] < 0.5:
            choice["before"] = datetime.fromtimestamp(CLOCK.now() - 3 * 3600 * happening.which[3], UTC).isoformat()
        return self._ask(happening, target, choice)

    def _restore_elsewhere(self, happening: Happening) -> str:
        """What was saved of one instance onto another one."""
        target, chosen = self._target(happening), happening.pick(self._snapshots(), 2)
        if target is None or chosen is None:
            return ""
        choice: Any = chosen.snapshot_id
        if happening.which[1] < 0.6:
            choice = chosen.tags["lifeboat:recovery-point"]
        return self._ask(happening, target, choice)

    def _restore_twice(self, happening: Happening) -> str:
        """Two people ask for a restore onto the same instance at the same moment."""
        first = self._target(happening)
        if first is None:
            return ""
        second = Happening(happening.number, happening.at, "restore", tuple(reversed(happening.which)))
        MACHINE.spawn(lambda: self._ask(second, first, "latest", "b"), "another person")
        return self._ask(happening, first, "latest", "a")

    def _ask(self, happening: Happening, target: Instance, choice: Any, name: str = "") -> str:
        if happening.which[4] < 0.95:
            self._consent(target)
        request = {
            "instance_id": target.instance_id,
            "recovery_point": choice,
            "request_id": f"request-{happening.number}{name}",
            "requested_by": "a person",
            "reason": "simulated",
        }
        if target.image_id == self.foreign and happening.which[5] < 0.8:
            request["ami_override"] = {"reason": "simulated"}
        if happening.which[5] > 0.8:
            request["start"] = happening.which[5] > 0.9
        self.restores.append(target.instance_id)
        answer = self.invoke("RestoreVolumeFunction", request)
        found = answer if isinstance(answer, dict) else {}
        if "restore_id" in found:
            self.asked(found["restore_id"], request)
        said = found.get("restore_id") or found.get("refused") or found.get("errorType") or answer
        return f"{json.dumps(choice)} onto {target.instance_id}: {str(said)[:200]}"

    def open_restores(self) -> list[str]:
        """The restores that the table says are open."""
        return sorted(item["version"]["S"] for item in stage.items("restore-open", self.outputs).values())

    def _cancel(self, happening: Happening) -> str:
        chosen = happening.pick(self.open_restores())
        if chosen is None:
            return ""
        answer = self.invoke("RestoreVolumeFunction", {"cancel": chosen, "requested_by": "a person"})
        return f"{chosen}: {str(answer.get('direction') or answer.get('refused') or answer.get('errorType'))[:150]}"

    def _detach(self, happening: Happening) -> str:
        return self._detach_of(happening, happening.pick([item for item in self._instances() if self._data(item)]))

    def _detach_target(self, happening: Happening) -> str:
        return self._detach_of(happening, self._last_target())

    def _detach_of(self, happening: Happening, instance: Instance | None) -> str:
        volume = happening.pick(self._data(instance), 1) if instance else None
        if instance is None or volume is None:
            return ""
        self._touch(instance.instance_id, volume)
        stage.client("ec2").detach_volume(VolumeId=volume, Force=happening.which[2] < 0.3)
        return f"{volume} from {instance.instance_id}"

    def _attach(self, happening: Happening) -> str:
        free = [item.volume_id for item in self._volumes().values() if item.state == "available"]
        volume, instance = happening.pick(free), happening.pick(self._instances(), 1)
        if volume is None or instance is None:
            return ""
        device = happening.pick(plans.DEVICES, 2) or "/dev/sdh"
        self._touch(instance.instance_id, volume)
        stage.client("ec2").attach_volume(VolumeId=volume, InstanceId=instance.instance_id, Device=device)
        return f"{volume} to {instance.instance_id} at {device}"

    def _new_volume(self, happening: Happening) -> str:
        instance = happening.pick(self._instances())
        if instance is None:
            return ""
        ec2 = stage.client("ec2")
        volume = ec2.create_volume(AvailabilityZone=instance.zone, Size=8, VolumeType="gp3")["VolumeId"]
        self._touch(instance.instance_id, volume)
        MACHINE.sleep(20)
        self._touch(instance.instance_id, volume)
        device = happening.pick(plans.DEVICES, 2) or "/dev/sdh"
        ec2.attach_volume(VolumeId=volume, InstanceId=instance.instance_id, Device=device)
        return f"{volume} at {device} of {instance.instance_id}"

    def _terminate(self, happening: Happening) -> str:
        return self._terminate_one(happening.pick(self._instances()))

    def _terminate_target(self, happening: Happening) -> str:
        return self._terminate_one(self._last_target()) if happening.which[0] < 0.3 else ""

    def _terminate_one(self, instance: Instance | None) -> str:
        if instance is None or len(self._instances()) < 2:
            return ""
        self._touch(instance.instance_id, *instance.devices.values())
        stage.client("ec2").terminate_instances(InstanceIds=[instance.instance_id])
        return instance.instance_id

    def _launch_another(self, happening: Happening) -> str:
        machine = happening.pick(self.plan.machines)
        if machine is None or len(self._instances()) > 30:
            return ""
        ec2 = stage.client("ec2")
        launched = ec2.run_instances(
            ImageId=self.image,
            MinCount=1,
            MaxCount=1,
            Placement={"AvailabilityZone": f"{stage.REGION}{machine.zone}"},
            BlockDeviceMappings=[self._mapping(disk) for disk in machine.disks],
            TagSpecifications=[{"ResourceType": "instance", "Tags": _tags(machine.tags)}],
        )["Instances"][0]["InstanceId"]
        return f"{launched}, like {machine.name}"

    def _stop_or_start(self, happening: Happening) -> str:
        return self._toggle(happening.pick(self._instances()))

    def _stop_or_start_target(self, happening: Happening) -> str:
        del happening
        return self._toggle(self._last_target())

    def _toggle(self, instance: Instance | None) -> str:
        if instance is None:
            return ""
        self._touch(instance.instance_id)
        ec2 = stage.client("ec2")
        if instance.state == "running":
            ec2.stop_instances(InstanceIds=[instance.instance_id])
            return f"stops {instance.instance_id}"
        ec2.start_instances(InstanceIds=[instance.instance_id])
        return f"starts {instance.instance_id}"

    def _tag(self, resource: str, key: str, value: str | None) -> str:
        self._touch(resource)
        self.tagged.add(resource)
        ec2 = stage.client("ec2")
        if value is None:
            ec2.delete_tags(Resources=[resource], Tags=[{"Key": key}])
            return f"takes {key} off {resource}"
        ec2.create_tags(Resources=[resource], Tags=_tags({key: value}))
        return f"tags {resource} {key}={value}"

    def _backup_tag(self, happening: Happening) -> str:
        instance = happening.pick(self._instances())
        if instance is None:
            return ""
        off = "lifeboat:backup" in instance.tags and happening.which[1] < 0.5
        return self._tag(instance.instance_id, "lifeboat:backup", None if off else "true")

    def _consent_tag(self, happening: Happening) -> str:
        instance = self._last_target() or happening.pick(self._instances())
        if instance is None:
            return ""
        resource = happening.pick([instance.instance_id, *self._data(instance)], 1) or instance.instance_id
        return self._tag(resource, CONSENT, None)

    def _retention_tag(self, happening: Happening) -> str:
        instance = happening.pick(self._instances())
        value = happening.pick((*plans.POLICIES, "nonsense", None), 1)
        return self._tag(instance.instance_id, "lifeboat:retention", value) if instance else ""

    def _hold(self, happening: Happening) -> str:
        snapshot = happening.pick(self._snapshots())
        if snapshot is None:
            return ""
        key = "lifeboat:hold" if happening.which[1] < 0.7 else "lifeboat:shared"
        return self._tag(snapshot.snapshot_id, key, None if key in snapshot.tags else "simulated")

    def _delete_snapshot(self, happening: Happening) -> str:
        snapshot = happening.pick(self._snapshots())
        if snapshot is None:
            return ""
        self._touch(snapshot.snapshot_id, snapshot.tags["lifeboat:recovery-point"])
        stage.client("ec2").delete_snapshot(SnapshotId=snapshot.snapshot_id)
        return snapshot.snapshot_id

    def _delete_volume(self, happening: Happening) -> str:
        free = [item.volume_id for item in self._volumes().values() if item.state == "available"]
        volume = happening.pick(free)
        if volume is None:
            return ""
        self._touch(volume)
        stage.client("ec2").delete_volume(VolumeId=volume)
        return volume

    def _policy(self, happening: Happening) -> str:
        changes = {
            "Retention": happening.pick(plans.POLICIES),
            "MinimumKept": happening.pick(("1", "2", "3"), 1),
            "GraceHours": happening.pick(("0", "1", "24"), 2),
        }
        self.parameters.update({name: value for name, value in changes.items() if value})
        self.policy_changed_at = CLOCK.now()
        self.lowest_floor = min(self.lowest_floor, int(self.parameters["MinimumKept"]))
        stage.update(self.parameters)
        return json.dumps(changes)

    def _protect(self, happening: Happening) -> str:
        instance = self._last_target() or happening.pick(self._instances())
        if instance is None:
            return ""
        value = not instance.disable_api_stop
        self._touch(instance.instance_id)
        stage.client("ec2").modify_instance_attribute(InstanceId=instance.instance_id, DisableApiStop={"Value": value})
        return f"{instance.instance_id}: stop protection {value}"

    def _backup(self, happening: Happening) -> str:
        instance = happening.pick(self._instances())
        if instance is None:
            return ""
        event = {"instance_ids": [instance.instance_id]} if happening.which[1] < 0.7 else {}
        return f"{json.dumps(event)}: {str(self.invoke('TakeSnapshotsFunction', event))[:150]}"

    def _backup_twice(self, happening: Happening) -> str:
        """Two people ask for a backup within the same second, or a person asks again who does not like to wait."""
        instance = happening.pick(self._instances())
        if instance is None:
            return ""
        named = {"instance_ids": [instance.instance_id]}
        second = named if happening.which[1] < 0.3 else {}
        MACHINE.sleep(1 - CLOCK.now() % 1)

        def again() -> None:
            MACHINE.sleep(happening.which[2] * 0.8)
            self.invoke("TakeSnapshotsFunction", second)

        MACHINE.spawn(again, "another person")
        return f"{json.dumps(named)} and {json.dumps(second)}: {str(self.invoke('TakeSnapshotsFunction', named))[:150]}"

    def _prune(self, happening: Happening) -> str:
        del happening
        return str(self.invoke("PruneSnapshotsFunction", {"prune": True}))[:150]

    def _grow(self, happening: Happening) -> str:
        instance = happening.pick([item for item in self._instances() if self._data(item)])
        volume = happening.pick(self._data(instance), 1) if instance else None
        if volume is None:
            return ""
        size = self._volumes()[volume].size + 10
        stage.client("ec2").modify_volume(VolumeId=volume, Size=size)
        return f"{volume} to {size} GiB"


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
