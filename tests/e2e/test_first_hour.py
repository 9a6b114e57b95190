"""The first hour, by the commands of the README as they stand there: from an empty account to a good recovery point."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from local import platform, stack
from local.session import ROOT, LocalAws

MOST_COMMANDS = 6
ID_OF_AWS = re.compile(r"\b(i|vol|snap|ami|rp|subnet)-[0-9a-zA-Z]")
ANSWERS = {"make deploy": "y\n"}
"""What a person types when asked. A command of `lifeboat` asks only on a terminal, so these tests add --yes."""


def readme_commands() -> list[str]:
    text = (ROOT / "README.md").read_text().split("\n## Deploy\n")[1].split("\n## ")[0]
    [block] = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [line.split("  #")[0].strip() for line in block.strip().splitlines()]


class Person:
    """Types commands into one shell, with credentials of the local AWS."""

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        self.aws = aws
        # Make says where it enters and leaves if another make started it, as `make test` does.
        own = {name: value for name, value in aws.environment().items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
        # What the person's shell does not have yet: the tools of this clone.
        own["PATH"] = os.pathsep.join(p for p in own["PATH"].split(os.pathsep) if not p.startswith(str(ROOT)))
        self._environment = own
        # A test deploys what others have built already, and keeps the parameters of whoever works in this clone.
        self._deploy = f" BUILT={stack.build()} PARAMETERS={folder / 'parameters.toml'}"

    def types(self, line: str, *, code: int = 0) -> str:
        """What the command shows; its exit code must be the expected one."""
        if line.startswith("export PATH="):
            self._environment["PATH"] = self._shell(f'{line}; printf %s "$PATH"').stdout
            return ""
        more = self._deploy if line.startswith("make deploy") else ""
        done = self._shell(line + more, next((said for start, said in ANSWERS.items() if line.startswith(start)), ""))
        assert done.returncode == code, f"{line}: {done.stdout}"
        return done.stdout

    def _shell(self, line: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", line],
            cwd=ROOT,
            env=self._environment,
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


def test_from_an_empty_account_to_a_good_recovery_point_by_the_readme(tmp_path):
    commands = readme_commands()
    assert len(commands) <= MOST_COMMANDS
    assert not [line for line in commands if ID_OF_AWS.search(line)], "no id is asked of the person"
    with LocalAws({"schedules_fire": False}) as aws:
        machine = platform.terraform_platform(aws)
        person = Person(aws, tmp_path)
        setup, path, deploy, protect, back_up, status = commands
        person.types(setup)
        person.types(path)
        deployed = person.types(deploy)
        assert "Next1Protect" in deployed
        assert deployed.index("Next1Protect") < deployed.index("NotificationTopicArn")
        last = [line.split()[:2] for line in deployed.rstrip().splitlines()[-3:]]
        assert last == [["lifeboat", "protect"], ["lifeboat", "backup"], ["lifeboat", "status"]]
        assert machine.instance_id in person.types(f"{protect} --yes")
        person.types(back_up)
        aws.control.settle()
        seen = person.types(status)
        assert "1 instance is protected. No backup is overdue. Nothing needs a person." in seen
        [instance] = json.loads(person.types(f"{status} --json"))["instances"]
        assert instance["instance_id"] == machine.instance_id
        assert [point["condition"] for point in instance["recovery_points"]] == ["good"]
        assert [letter["to"] for letter in aws.control.emails()].count("you@example.com") >= 2
        read_replay_and_delete_what_fails_for_good(aws, person)


def read_replay_and_delete_what_fails_for_good(aws: LocalAws, person: Person) -> None:
    """The runbook's commands for FailedEventsAlarm, on an event that fails at every attempt, and then no more."""
    aws.control.fault("DescribeInstances", caller="CheckAmiOwner", code="InternalError", count=0)
    for _ in range(2):
        stack.invoke(aws, "lifeboat-check-ami-owner", {}, asynchronous=True)
    aws.control.settle()
    shown = person.types("lifeboat failed", code=1)
    assert shown.count("lifeboat-check-ami-owner") == 2
    assert "RetriesExhausted after 3 attempts" in shown
    first, second = json.loads(person.types("lifeboat failed --json", code=1))["failed"]
    assert "nothing was done" in person.types("lifeboat failed --replay", code=3)
    aws.control.reset()
    mark = aws.control.mark()
    assert "1 replayed." in person.types(f"lifeboat failed {first['id'][:8]} --replay --yes")
    aws.control.settle()
    assert [item["error"] for item in aws.control.invocations(mark, function="lifeboat-check-ami-owner")] == [False]
    assert "1 deleted." in person.types(f"lifeboat failed {second['id']} --delete --yes")
    assert "No event failed for good." in person.types("lifeboat failed")
