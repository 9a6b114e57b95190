"""What handing out 10,000 instances takes of the function's memory and time, and so the look for what was missed.

`python -m bench.fleet_memory` runs the real handler of take_snapshots, each time in a process of its own, against
services that only list and take: DescribeInstances in pages of 1,000, with all that EC2 tells of an instance, a queue
and a table. It exits with 1 when the peak of a process reaches the memory that the template gives the function, or an
invocation takes longer than it may.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import perf_counter, process_time
from typing import Any
from urllib.parse import parse_qs

ROOT = Path(__file__).resolve().parents[1]
LAYER = ROOT / "layers" / "lifeboat" / "python"
for place in (str(ROOT), str(LAYER)):
    if place not in sys.path:  # run as a program, not by pytest
        sys.path.insert(0, place)

INSTANCES = 10_000
PAGE = 1_000
MAX_MEGABYTES = 256
"""`MemorySize` of the function in template.yaml."""
MAX_SECONDS = 60
"""`Timeout` of the function in template.yaml with Fleet=true."""

ACCOUNT = "111122223333"
NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
SLOT = "2026-11-23T02:00:00Z"
EVENTS: dict[str, dict[str, Any]] = {
    "slot": {"scheduled_time": SLOT},
    "catch-up, first": {"catch_up": True},
    "catch-up, all missed": {"catch_up": True},
    "catch-up, all there": {"catch_up": True},
}
"""The invocations that are measured: by what is known of the instances, and what there is of the slot."""
KNOWN = ("catch-up, all missed", "catch-up, all there")


@dataclass(frozen=True, slots=True)
class Figure:
    """What one invocation took. `peak_mb` is the peak of the process, Python and boto3 included."""

    mode: str
    instances: int
    peak_mb: float
    seconds: float
    processor_seconds: float
    calls: int
    handed_out: int


def _id(number: int) -> str:
    return f"i-{number:017x}"


def _group(number: int) -> str:
    return f"<item><groupId>sg-{number:017x}</groupId><groupName>platform-{number % 7}</groupName></item>"


def _disk(number: int, device: str) -> str:
    return (
        f"<item><deviceName>{device}</deviceName><ebs><volumeId>vol-{number:017x}</volumeId><status>attached</status>"
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
    disks = "".join(_disk(4 * number + at, f"/dev/sd{letter}") for at, letter in enumerate("afgh"))
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


def snapshot_item(number: int) -> str:
    """A snapshot of the slot, with the tags that this is about."""
    tags = {
        "lifeboat:recovery-point": f"rp-20261123T020000Z-{_id(number)}",
        "lifeboat:instance": _id(number),
        "lifeboat:slot": SLOT,
        **{
            f"lifeboat:volume/vol-{4 * number + at:017x}": "device=/dev/sdh&amp;type=gp3&amp;size=500"
            for at in range(8)
        },
    }
    listed = "".join(f"<item><key>{key}</key><value>{value}</value></item>" for key, value in tags.items())
    return (
        f"<item><snapshotId>snap-{number:017x}</snapshotId><volumeId>vol-{number:017x}</volumeId><status>pending"
        f"</status><startTime>{SLOT}</startTime><progress>0%</progress><ownerId>{ACCOUNT}</ownerId><volumeSize>500"
        f"</volumeSize><description/><encrypted>true</encrypted><tagSet>{listed}</tagSet></item>"
    )


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
            listed = self._listed(action, int(parameters.get("NextToken", ["0"])[0]))
            self._send(f'<{action}Response xmlns="{NAMESPACE}">{listed}</{action}Response>', "text/xml")

    def _send(self, text: str, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def _listed(self, action: str, first: int) -> str:
        what, item, total = {
            "DescribeInstances": ("reservationSet", instance_item, self.total),
            "DescribeSnapshots": ("snapshotSet", snapshot_item, self.total if self.mode.endswith("there") else 0),
        }.get(action, ("none", instance_item, 0))
        last = min(total, first + PAGE)
        more = f"<nextToken>{last}</nextToken>" if last < total else ""
        return f"<{what}>{''.join(map(item, range(first, last)))}</{what}>{more}"

    def _take(self, action: str, asked: dict[str, Any]) -> dict[str, Any]:
        if action == "SendMessageBatch":
            sent = [{"Id": entry["Id"], "MessageId": "1", "MD5OfMessageBody": "0"} for entry in asked["Entries"]]
            return {"Successful": sent, "Failed": []}
        if action == "Query" and asked["ExpressionAttributeValues"][":pk"] == {"S": "selected"} and self.mode in KNOWN:
            since = {"S": "2026-01-01T00:00:00+00:00"}
            items = [{"pk": {"S": "selected"}, "sk": {"S": _id(n)}, "since": since} for n in range(self.total)]
            return {"Items": items, "Count": len(items)}
        return {"Query": {"Items": [], "Count": 0}, "BatchWriteItem": {"UnprocessedItems": {}}}.get(action, {})

    def log_message(self, format: str, *args: Any) -> None:
        """No line for each request."""


@contextmanager
def services(mode: str, total: int) -> Iterator[str]:
    """The URL of services with so many instances."""
    made = type("Services", (_Services,), {"mode": mode, "total": total})
    with ThreadingHTTPServer(("127.0.0.1", 0), made) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def measure_alone(mode: str, instances: int = INSTANCES) -> Figure:
    """One invocation in a process of its own."""
    with services(mode, instances) as url:
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "LIFEBOAT_STACK": "lifeboat",
            "LIFEBOAT_TABLE": "table",
            "LIFEBOAT_TOPIC": f"arn:aws:sns:eu-west-1:{ACCOUNT}:news",
            "LIFEBOAT_WORK_QUEUE": f"{url}/{ACCOUNT}/work",
            "LIFEBOAT_SCHEDULE": "cron(0 * * * ? *)",
            "LIFEBOAT_CATCH_UP_GRACE_MINUTES": "1",
            "POWERTOOLS_SERVICE_NAME": "lifeboat",
            "POWERTOOLS_LOG_LEVEL": "INFO",
        }
        command = [sys.executable, "-m", "bench.fleet_memory", mode, str(instances)]
        done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return Figure(**json.loads(done.stdout.splitlines()[-1]))  # what comes before is the log


@dataclass(slots=True)
class _Context:
    """What Lambda tells the function."""

    function_name: str = "take"
    memory_limit_in_mb: int = MAX_MEGABYTES
    invoked_function_arn: str = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:take"
    aws_request_id: str = "1"

    def get_remaining_time_in_millis(self) -> int:
        return 1000 * MAX_SECONDS


def _peak_mb() -> float:
    """The most memory this program ever had. Not getrusage: its figure begins with that of the process that started
    this one, and a test run is large."""
    [peak] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak) / 1024


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
    context: Any = _Context()
    begin, begin_processor = perf_counter(), process_time()
    answer = handler(EVENTS[mode], context)
    took, processor = perf_counter() - begin, process_time() - begin_processor
    return Figure(
        mode, instances, round(_peak_mb(), 1), round(took, 2), round(processor, 2), calls, answer.get("instances", 0)
    )


def problems_of(figure: Figure) -> list[str]:
    """What breaks a bound, one sentence each."""
    name = f"{figure.instances} instances, {figure.mode}"
    handed_out = figure.instances if figure.mode in ("slot", "catch-up, all missed") else 0
    bars = [
        (figure.peak_mb >= MAX_MEGABYTES, f"{figure.peak_mb:.0f} MB, expected under {MAX_MEGABYTES} MB"),
        (figure.seconds >= MAX_SECONDS, f"{figure.seconds:.0f} s, expected under {MAX_SECONDS} s"),
        (figure.handed_out != handed_out, f"{figure.handed_out} handed out, expected {handed_out}"),
    ]
    return [f"{name}: {said}" for broken, said in bars if broken]


def run() -> dict[str, Any]:
    """Measure every invocation, print the table, return the figures."""
    print("invocation            instances  peak MB  seconds  processor s  calls  handed out")
    figures = []
    for mode in EVENTS:
        figure = measure_alone(mode)
        figures.append(figure)
        print(
            f"{mode:21} {figure.instances:9,} {figure.peak_mb:8.1f} {figure.seconds:8.2f} "
            f"{figure.processor_seconds:12.2f} {figure.calls:6,} {figure.handed_out:11,}",
            flush=True,
        )
    problems = [problem for figure in figures for problem in problems_of(figure)]
    return {"figures": [asdict(figure) for figure in figures], "problems": problems}


def main() -> int:
    if len(sys.argv) > 1:
        mode, instances = sys.argv[1:]
        print(json.dumps(asdict(_invoke(mode, int(instances)))))
        return 0
    problems = run()["problems"]
    print("\n".join(problems) or "within the bounds")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
