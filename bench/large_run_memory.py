"""What handing out 10,000 instances takes of the function's memory and time, and so the catch-up of what was missed.

`python -m bench.large_run_memory` runs the real handler of take_snapshots, each time in a process of its own, against
services that only list and take: DescribeInstances in pages of 1,000, with all that EC2 says of an instance, a queue
and a table. It exits with 1 when the peak of a process reaches the memory that the template gives the function, or an
invocation takes longer than it may.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache, partial
from http.server import BaseHTTPRequestHandler
from time import perf_counter, process_time
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from bench._alone import ACCOUNT, Context, in_lambda, main, peak_mb, reported_alone, served
from lifeboat.domain.recovery_point import VolumeMetadata
from lifeboat.domain.recovery_point_tags import recovery_point_id, write_tags
from lifeboat.domain.text import iso

INSTANCES = 10_000
PAGE = 1_000
MAX_MEGABYTES = 256
"""What an invocation may use. With LargeRuns=true the function has twice that, for the processor time it brings."""
MEMORY_SIZE = 512
"""`MemorySize` of the function in template.yaml with LargeRuns=true."""
MAX_SECONDS = 60
"""`Timeout` of the function in template.yaml with LargeRuns=true."""

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
SLOT = datetime(2026, 11, 23, 2, tzinfo=UTC)
EVENTS: dict[str, dict[str, Any]] = {
    "slot": {"scheduled_time": "2026-11-23T02:00:00Z"},
    "catch-up, first": {"catch_up": True},
    "catch-up, all missed": {"catch_up": True},
    "catch-up, all there": {"catch_up": True},
}
"""The invocations that are measured: by what is known of the instances, and what there is of the slot."""
KNOWN = ("catch-up, all missed", "catch-up, all there")


@dataclass(frozen=True, slots=True)
class Figure:
    """What one invocation took. `peak_mb` is the peak of the process, Python and boto3 included.

    `lambda_seconds` is how long it would take with Lambda's part of a processor as fast as this machine's.
    """

    mode: str
    instances: int
    peak_mb: float
    seconds: float
    processor_seconds: float
    lambda_seconds: float
    calls: int
    handed_out: int


def _id(number: int) -> str:
    return f"i-{number:017x}"


def _group(number: int) -> str:
    return f"<item><groupId>sg-{number:017x}</groupId><groupName>platform-{number % 7}</groupName></item>"


def _disk(volume: str, device: str) -> str:
    return (
        f"<item><deviceName>{device}</deviceName><ebs><volumeId>{volume}</volumeId><status>attached</status>"
        "<attachTime>2026-01-01T00:00:00.000Z</attachTime><deleteOnTermination>false</deleteOnTermination></ebs></item>"
    )


TAGS = {
    "Name": "platform worker of the forensics department",
    "lifeboat:backup": "true",
    "lifeboat:retention": "last=3 daily=14 weekly=8 monthly=12 yearly=7",
    "aws:autoscaling:groupName": "platform-workers-eu-west-1",
    "aws:cloudformation:stack-name": "platform-production",
    "aws:cloudformation:logical-id": "PlatformInstance",
    "Owner": "forensics",
    "CostCenter": "4711",
    "Environment": "production",
    "PatchGroup": "linux-weekly",
}


def instance_item(number: int) -> str:
    """An instance as EC2 lists it, some 5 kB."""
    groups = "".join(_group(number + more) for more in range(3))
    tags = "".join(f"<item><key>{key}</key><value>{value}</value></item>" for key, value in TAGS.items())
    disks = _disk(f"vol-f{number:016x}", "/dev/sda") + _disk(f"vol-{number:017x}", "/dev/sdh")
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    name = f"ip-{address.replace('.', '-')}.eu-west-1.compute.internal"
    network = (
        f"<item><networkInterfaceId>eni-{number:017x}</networkInterfaceId><subnetId>subnet-{number % 9:017x}</subnetId>"
        f"<vpcId>vpc-0123456789abcdef0</vpcId><description/><ownerId>{ACCOUNT}</ownerId><status>in-use</status>"
        f"<macAddress>02:00:00:00:00:00</macAddress><privateIpAddress>{address}</privateIpAddress><privateDnsName>{name}"
        f"</privateDnsName><sourceDestCheck>true</sourceDestCheck><groupSet>{groups}</groupSet><attachment>"
        f"<attachmentId>eni-attach-{number:017x}</attachmentId><deviceIndex>0</deviceIndex><status>attached</status>"
        "<attachTime>2026-01-01T00:00:00.000Z</attachTime><deleteOnTermination>true</deleteOnTermination>"
        f"<networkCardIndex>0</networkCardIndex></attachment><privateIpAddressesSet><item><privateIpAddress>{address}"
        f"</privateIpAddress><privateDnsName>{name}</privateDnsName><primary>true</primary></item>"
        "</privateIpAddressesSet><ipv6AddressesSet/><interfaceType>interface</interfaceType></item>"
    )
    return (
        f"<item><reservationId>r-{number:017x}</reservationId><ownerId>{ACCOUNT}</ownerId><groupSet/><instancesSet><item>"
        f"<instanceId>{_id(number)}</instanceId><imageId>ami-0123456789abcdef0</imageId><instanceState><code>16</code>"
        f"<name>running</name></instanceState><privateDnsName>{name}</privateDnsName><dnsName/><reason/><keyName>ops"
        "</keyName><amiLaunchIndex>0</amiLaunchIndex><productCodes/><instanceType>m5.xlarge</instanceType><launchTime>"
        "2026-01-01T00:00:00.000Z</launchTime><placement><availabilityZone>eu-west-1a</availabilityZone><groupName/>"
        "<tenancy>default</tenancy></placement><monitoring><state>disabled</state></monitoring><subnetId>"
        f"subnet-{number % 9:017x}</subnetId><vpcId>vpc-0123456789abcdef0</vpcId><privateIpAddress>{address}"
        f"</privateIpAddress><sourceDestCheck>true</sourceDestCheck><groupSet>{groups}</groupSet><architecture>x86_64"
        "</architecture><rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/sda</rootDeviceName>"
        f"<blockDeviceMapping>{disks}</blockDeviceMapping><virtualizationType>hvm</virtualizationType><clientToken>"
        f"{number:036x}</clientToken><tagSet>{tags}</tagSet><hypervisor>xen</hypervisor><networkInterfaceSet>{network}"
        "</networkInterfaceSet><ebsOptimized>true</ebsOptimized><enaSupport>true</enaSupport><cpuOptions><coreCount>2"
        "</coreCount><threadsPerCore>2</threadsPerCore></cpuOptions><capacityReservationSpecification>"
        "<capacityReservationPreference>open</capacityReservationPreference></capacityReservationSpecification>"
        "<metadataOptions><state>applied</state><httpTokens>required</httpTokens><httpPutResponseHopLimit>2"
        "</httpPutResponseHopLimit><httpEndpoint>enabled</httpEndpoint></metadataOptions><enclaveOptions><enabled>false"
        "</enabled></enclaveOptions></item></instancesSet></item>"
    )


@cache
def _tags_form() -> Mapping[str, str]:
    """The tags of a recovery point as a backup writes them, with number and slot open."""
    number = 11_111_111_111_111_111
    metadata = VolumeMetadata(
        volume_id=f"vol-{number:017}",
        lineage=f"vol-{number:017}",
        device="/dev/sdh",
        type="gp3",
        size=500,
        encrypted=True,
        delete_on_termination=False,
        iops=4000,
        throughput=250,
        kms_key_id=f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555",
        tags={"Name": "PlatformDataVolume", "Owner": "forensics", "CostCenter": "4711"},
    )
    at = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
    written = write_tags(
        recovery_point_id=recovery_point_id(at, f"i-{number:017}"),
        set_id="00000000-0000-0000-0000-000000000000",
        stack="lifeboat",
        slot=at,
        instance_id=f"i-{number:017}",
        instance_name="platform",
        zone="eu-west-1a",
        ami_id="ami-0123456789abcdef0",
        ami_owner="055430919509",
        all_metadata=[metadata],
    )
    opened = {f"{number:017}": "{number}", iso(at): "{slot}", f"{at:%Y%m%dT%H%M%SZ}": "{compact}"}

    def form(text: str) -> str:
        for word, name in opened.items():
            text = text.replace(word, name)
        return escape(text)

    return {form(key): form(value) for key, value in written.items()}


def snapshot_item(number: int, slot: datetime) -> str:
    """A good recovery point of an instance's one data volume."""
    reported = {"number": f"{number:017x}", "slot": iso(slot), "compact": f"{slot:%Y%m%dT%H%M%SZ}"}
    listed = "".join(f"<item><key>{key}</key><value>{value}</value></item>" for key, value in _tags_form().items())
    return (
        "<item><snapshotId>snap-{number}</snapshotId><volumeId>vol-{number}</volumeId><status>completed</status>"
        "<startTime>{slot}</startTime><completionTime>{slot}</completionTime><progress>100%</progress><ownerId>"
        f"{ACCOUNT}</ownerId><volumeSize>500</volumeSize><description>lifeboat</description><encrypted>true</encrypted>"
        f"<storageTier>standard</storageTier><tagSet>{listed}</tagSet></item>"
    ).format(**reported)


class _Services(BaseHTTPRequestHandler):
    """An EC2 that lists, a table that knows who was selected since when, a queue and a topic."""

    mode = ""
    total = 0
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        target = self.headers.get("X-Amz-Target", "")
        if target:
            self._send(json.dumps(self._take(target.split(".")[1], json.loads(asked))), "application/x-amz-json-1.0")
        else:
            parameters = parse_qs(asked)
            action = parameters["Action"][0]
            listed = self._listed(action, parameters)
            self._send(f'<{action}Response xmlns="{NAMESPACE}">{listed}</{action}Response>', "text/xml")

    def _send(self, text: str, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def _listed(self, action: str, asked: Mapping[str, list[str]]) -> str:
        first = int(asked.get("NextToken", ["0"])[0])
        if action == "Publish":
            return "<PublishResult><MessageId>1</MessageId></PublishResult>"
        if action == "DescribeSnapshots":
            slots = [value[0] for value in asked.values() if re.match(r"\d{4}-\d\d-\d\dT", value[0])]
            there = self.mode.endswith("there") and bool(slots)
            slot = datetime.fromisoformat(f"{max(slots)[:13]}:00:00Z") if there else SLOT
            return self._page("snapshotSet", partial(snapshot_item, slot=slot), first, self.total if there else 0)
        return self._page("reservationSet", instance_item, first, self.total if action == "DescribeInstances" else 0)

    @staticmethod
    def _page(what: str, item: Callable[[int], str], first: int, total: int) -> str:
        last = min(total, first + PAGE)
        more = f"<nextToken>{last}</nextToken>" if last < total else ""
        return f"<{what}>{''.join(map(item, range(first, last)))}</{what}>{more}"

    def _take(self, action: str, asked: dict[str, Any]) -> dict[str, Any]:
        if action == "SendMessageBatch":
            sent = [{"Id": entry["Id"], "MessageId": "1", "MD5OfMessageBody": "0"} for entry in asked["Entries"]]
            return {"Successful": sent, "Failed": []}
        if action == "Query" and asked["ExpressionAttributeValues"][":pk"] == {"S": "selected"} and self.mode in KNOWN:
            since = {"S": '"2026-01-01T00:00:00Z"'}
            items = [{"pk": {"S": "selected"}, "sk": {"S": _id(n)}, "document": since} for n in range(self.total)]
            return {"Items": items, "Count": len(items)}
        return {"Query": {"Items": [], "Count": 0}, "BatchWriteItem": {"UnprocessedItems": {}}}.get(action, {})


def measure_alone(mode: str, instances: int = INSTANCES) -> Figure:
    """One invocation in a process of its own."""
    with served(_Services, mode=mode, total=instances) as url:
        variables = {
            "LIFEBOAT_WORK_QUEUE": f"{url}/{ACCOUNT}/work",
            "LIFEBOAT_SCHEDULE": "cron(0 0 * * ? *)",
            "LIFEBOAT_CATCH_UP_GRACE_MINUTES": "1",
        }
        return Figure(**reported_alone("bench.large_run_memory", mode, instances, url=url, **variables))


def _invoke(mode: str, instances: int) -> Figure:
    from botocore.client import BaseClient

    from functions.take_snapshots.app import handler

    calls = 0
    real = BaseClient._make_api_call

    def counted(self: Any, name: str, arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        return real(self, name, arguments)

    BaseClient._make_api_call = counted
    context: Any = Context(MAX_SECONDS, MAX_MEGABYTES)
    begin, begin_processor = perf_counter(), process_time()
    answer = handler(EVENTS[mode], context)
    took, processor = perf_counter() - begin, process_time() - begin_processor
    return Figure(
        mode=mode,
        instances=instances,
        peak_mb=round(peak_mb(), 1),
        seconds=round(took, 2),
        processor_seconds=round(processor, 2),
        lambda_seconds=in_lambda(took, processor, MEMORY_SIZE),
        calls=calls,
        handed_out=answer.get("instances", 0),
    )


def problems_of(figure: Figure, *, timed: bool = True) -> list[str]:
    """What breaks a bound, one sentence each; not `timed`, and how fast this machine is counts for nothing."""
    name = f"{figure.instances} instances, {figure.mode}"
    handed_out = figure.instances if figure.mode in ("slot", "catch-up, all missed") else 0
    bars = [
        (figure.peak_mb >= MAX_MEGABYTES, f"{figure.peak_mb:.0f} MB, expected under {MAX_MEGABYTES} MB"),
        (
            timed and figure.lambda_seconds >= MAX_SECONDS,
            f"{figure.lambda_seconds:.0f} s, expected under {MAX_SECONDS} s",
        ),
        (figure.handed_out != handed_out, f"{figure.handed_out} handed out, expected {handed_out}"),
    ]
    return [f"{name}: {said}" for broken, said in bars if broken]


def run() -> dict[str, Any]:
    """Measure every invocation, print the table, return the figures."""
    print("invocation            instances  peak MB  seconds  processor s  s in Lambda  calls  handed out")
    figures = []
    for mode in EVENTS:
        figure = measure_alone(mode)
        figures.append(figure)
        print(
            f"{mode:21} {figure.instances:9,} {figure.peak_mb:8.1f} {figure.seconds:8.2f} "
            f"{figure.processor_seconds:12.2f} {figure.lambda_seconds:12.1f} {figure.calls:6,} {figure.handed_out:11,}",
            flush=True,
        )
    problems = [problem for figure in figures for problem in problems_of(figure)]
    return {"figures": [asdict(figure) for figure in figures], "problems": problems}


if __name__ == "__main__":
    sys.exit(main(run, _invoke))
