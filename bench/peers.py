"""A backup of 200 instances by Lifeboat and by its peers, side by side on one moto server.

Each tool backs up every instance twice within the same slot. Per run: wall and processor seconds and peak memory of
the tool's process, its API calls by action, and how many snapshots it added.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, sleep
from typing import Any
from urllib.request import Request, urlopen

import boto3

from bench import _in_process

ROOT = Path(__file__).resolve().parents[1]
SIZES = (200,)
"""moto takes a time for each snapshot that grows with their number; PEERS_SIZES="200 1000" measures more."""
SHELVERY_SIZES = (200,)
"""shelvery needs more than a minute for 200 volumes."""
SLOT = "2026-11-23T02:00:00Z"
SPARE_CALLS = 10
PAGE = 100
"""Instances in the smallest page that is still no reason to complain of many describe calls."""
TIME_LIMIT_SECONDS = 300
PORTION = 500
"""Instances launched by one call."""
POLICY = {
    "policies": [
        {
            "name": "backup",
            "resource": "aws.ec2",
            "filters": [{"tag:lifeboat:backup": "true"}],
            "actions": [{"type": "snapshot", "copy-tags": ["Name"], "exclude-boot": True}],
        }
    ]
}


@contextmanager
def server() -> Iterator[str]:
    """A moto server on a free port of the loopback, until the end; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [str(ROOT / ".tools/local/bin/python"), str(ROOT / "bench/_peer_server.py"), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                counted(address)
                break
            except OSError:
                sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()


def counted(address: str) -> dict[str, int]:
    """The calls by action since this was last asked."""
    with urlopen(f"{address}/calls", timeout=5) as answer:
        calls: dict[str, int] = json.load(answer)
    return calls


def commands(folder: Path) -> dict[str, list[str]]:
    """The command of each tool."""
    policy = folder / "policy.json"
    policy.write_text(json.dumps(POLICY))
    client = [sys.executable, "-m", "bench._peer_client"]
    custodian = [str(ROOT / ".tools/peer-custodian/bin/custodian"), "run", "--cache-period", "0", "-s", str(folder)]
    return {
        "lifeboat": [*client, "lifeboat", SLOT],
        "cloud-custodian": [*custodian, str(policy)],
        "naive": [*client, "naive"],
        "shelvery": [str(ROOT / ".tools/peer-shelvery/bin/shelvery"), "ebs", "create_backups"],
    }


def launch(count: int) -> None:
    """Selected instances with a root and a data volume each, which shelvery's own tag selects, too."""
    ec2 = boto3.client("ec2")
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    disks = [{"DeviceName": name, "Ebs": {"VolumeSize": 8, "VolumeType": "gp3"}} for name in ("/dev/sda1", "/dev/sdh")]
    tags = [{"Key": "lifeboat:backup", "Value": "true"}]
    for begin in range(0, count, PORTION):
        number = min(PORTION, count - begin)
        ec2.run_instances(
            ImageId=image,
            MinCount=number,
            MaxCount=number,
            BlockDeviceMappings=disks,
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )
    volumes = [
        disk["Ebs"]["VolumeId"]
        for page in ec2.get_paginator("describe_instances").paginate()
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
        for disk in instance["BlockDeviceMappings"]
        if disk["DeviceName"] == "/dev/sdh"
    ]
    for begin in range(0, len(volumes), PORTION):
        ec2.create_tags(
            Resources=volumes[begin : begin + PORTION], Tags=[{"Key": "shelvery:create_backup", "Value": "true"}]
        )


def snapshots() -> int:
    """How many snapshots of this account there are."""
    pages = boto3.client("ec2").get_paginator("describe_snapshots").paginate(OwnerIds=["self"])
    return sum(len(page["Snapshots"]) for page in pages)


def measured(command: Sequence[str], address: str, log: Path) -> dict[str, Any]:
    """Run a tool once; what it cost. wait4 tells the use of this child alone."""
    before = snapshots()
    counted(address)
    begin = perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["timeout", str(TIME_LIMIT_SECONDS), *command], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT
        )
        _, status, use = os.wait4(process.pid, 0)
    wall = perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    calls = counted(address)
    return {
        "exit": process.returncode,
        "wall_seconds": round(wall, 2),
        "processor_seconds": round(use.ru_utime + use.ru_stime, 2),
        "peak_mb": round(use.ru_maxrss / 1024, 1),
        "calls": calls,
        "snapshots": snapshots() - before,
    }


def compared(count: int, address: str, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Each tool's two runs within a slot, on a server emptied before each tool."""
    rows = {}
    for tool, command in commands(folder).items():
        if tool == "shelvery" and count not in SHELVERY_SIZES:
            continue
        with urlopen(Request(f"{address}/moto-api/reset", method="POST"), timeout=60):
            pass
        launch(count)
        if tool == "lifeboat":
            _in_process.prepare()
        rows[tool] = [measured(command, address, folder / f"{tool}-{count}-{turn}.log") for turn in (1, 2)]
        for turn, row in enumerate(rows[tool], 1):
            print(line(count, tool, turn, row), flush=True)
    return rows


def line(count: int, tool: str, turn: int, row: Mapping[str, Any]) -> str:
    """One row of the table."""
    return (
        f"{count:9,} {tool:16} {turn:3} {row['wall_seconds']:8.2f} {row['processor_seconds']:9.2f} "
        f"{row['peak_mb']:7.1f} {sum(row['calls'].values()):6,} {row['snapshots']:9,}"
        + (f"  exit {row['exit']}" if row["exit"] else "")
    )


def too_much(count: int, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """What breaks a bar, one sentence each."""
    first, second = rows["lifeboat"]
    problems = []
    ec2 = {name: number for name, number in first["calls"].items() if name.startswith(("Create", "Describe"))}
    allowed = count + count // PAGE + SPARE_CALLS
    if sum(ec2.values()) > allowed:
        problems.append(f"{count} instances: {sum(ec2.values())} calls of EC2, expected at most {allowed}")
    if first["snapshots"] != count or first["exit"]:
        problems.append(f"{count} instances: {first['snapshots']} snapshots, exit {first['exit']}; expected {count}, 0")
    if second["snapshots"]:
        problems.append(f"{count} instances: a second run in the slot made {second['snapshots']} snapshots, expected 0")
    theirs = rows["cloud-custodian"][0]
    if theirs["exit"] or theirs["snapshots"] != count:
        problems.append(f"{count} instances: cloud-custodian made {theirs['snapshots']}, so its time says nothing")
    elif first["wall_seconds"] > theirs["wall_seconds"]:
        wall = f"{first['wall_seconds']} s, cloud-custodian {theirs['wall_seconds']} s"
        problems.append(f"{count} instances: Lifeboat took {wall}")
    return problems


def run() -> dict[str, Any]:
    """Compare at every size, print the table, return the figures."""
    print("instances tool             run  wall s processor   MB   calls snapshots")
    figures, problems = {}, []
    sizes = [int(text) for text in os.environ.get("PEERS_SIZES", "").split()] or SIZES
    kept = dict(os.environ)
    try:
        with tempfile.TemporaryDirectory() as name, server() as address:
            os.environ.update(
                AWS_ENDPOINT_URL=address,
                AWS_ACCESS_KEY_ID="bench",
                AWS_SECRET_ACCESS_KEY="bench",
                AWS_DEFAULT_REGION="eu-west-1",
            )
            for count in sizes:
                rows = compared(count, address, Path(name))
                figures[str(count)] = rows
                problems += too_much(count, rows)
                for log in Path(name).glob("*-1.log"):
                    if any(row[0]["exit"] for row in rows.values()):
                        print(log.name, log.read_text()[-600:])
    finally:
        os.environ.clear()
        os.environ.update(kept)
    return {"figures": figures, "problems": problems}
