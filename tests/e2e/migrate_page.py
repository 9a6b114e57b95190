"""The commands of docs/guide/migrate.md, run as they stand there: what the page says is what is tested."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from typing import Any

from local import stack
from local.session import HOME_ACCOUNT, REGION, ROOT, LocalAws
from tests.e2e.stage import Machine, Stage, tag_list

PAGE = ROOT / "docs" / "guide" / "migrate.md"
EXAMPLES = {HOME_ACCOUNT: "111122223333", REGION: "eu-west-1"}
"""What the local AWS and the page have in common: an example is run as it is written."""


def commands_of(section: str) -> list[list[str]]:
    """The commands under one heading of the page, in their order, as words."""
    assert all(real == example for real, example in EXAMPLES.items())
    text = PAGE.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.strip().splitlines()]


class Operator:
    """A person who follows a section of the page, with ids of their own in place of its examples."""

    def __init__(self, aws: LocalAws, section: str) -> None:
        self.aws = aws
        self.names: dict[str, str] = {}
        self._left = commands_of(section)
        self._stages: dict[tuple[str, str], Stage] = {}
        self._files: dict[str, dict[str, str]] = {}

    @property
    def finished(self) -> bool:
        return not self._left

    def stage(self, region: str = REGION, account: str = HOME_ACCOUNT) -> Stage:
        """What has been deployed there."""
        return self._stages[account, region]

    def has_deployed(self, made: Stage) -> None:
        """What the README's quick start has deployed, before the page begins."""
        self._stages[made.account, made.region] = made

    def knows(self, platform: Machine | None = None, fresh: Machine | None = None) -> None:
        """The page's `i-OLD`, `i-FRESH` and `vol-FRESHDATA`."""
        if platform:
            self.names["i-OLD"] = platform.instance_id
        if fresh:
            self.names |= {"i-FRESH": fresh.instance_id, "vol-FRESHDATA": fresh.volume_id}

    def next(self, beginning: str, account: str = HOME_ACCOUNT) -> dict[str, Any]:
        """Run the next command, which begins so; what it answers."""
        words = [self._named(word) for word in self._left.pop(0)]
        line = shlex.join(words)
        assert line.startswith(beginning), f"the page goes on with: {line}"
        if words[:2] == ["make", "deploy"]:
            self._deploy(words[2:], account)
        elif words[:3] == ["sam", "remote", "invoke"]:
            return self._on(words, account).invoke(words[3], json.loads(_option(words, "--event")[0]))
        else:
            assert words[:2] == ["aws", "ec2"], line
            self._call(self._on(words, account), words)
        return {}

    def again(self, beginning: str, account: str = HOME_ACCOUNT) -> dict[str, Any]:
        """Run the next command and keep it for another time: it says that it may be run at any time."""
        kept = self._left[0]
        answer = self.next(beginning, account)
        self._left.insert(0, kept)
        return answer

    def _named(self, word: str) -> str:
        for example, real in self.names.items():
            end = "" if example.endswith("...") else r"\b"
            word = re.sub(re.escape(example) + end, real, word)
        return word

    def _on(self, words: list[str], account: str) -> Stage:
        [region] = _option(words, "--region") or [REGION]
        return self.stage(region, account)

    def _deploy(self, words: list[str], account: str) -> None:
        """As tools/deploy.py does: what is typed is kept in a file, and all of the file is deployed.

        A new stack is made without SAM, in a tenth of the time: tests/local/test_stack.py shows that it is the same.
        """
        given = dict(word.split("=", 1) for word in words)
        region = given.pop("REGION", REGION)
        kept = self._files.setdefault(given.pop("PARAMETERS", region), {})
        kept |= given
        stack.build()
        self._stages[account, region] = Stage(
            self.aws, kept, region, account, with_sam=(account, region) in self._stages
        )

    @staticmethod
    def _call(stage: Stage, words: list[str]) -> None:
        match words[2]:
            case "create-tags":
                tags = dict(_tag(word) for word in _option(words, "--tags"))
                stage.ec2.create_tags(Resources=_option(words, "--resources"), Tags=tag_list(tags))
            case "delete-tags":
                keys = [{"Key": key} for key, _ in map(_tag, _option(words, "--tags"))]
                stage.ec2.delete_tags(Resources=_option(words, "--resources"), Tags=keys)
            case "stop-instances":
                stage.ec2.stop_instances(InstanceIds=_option(words, "--instance-ids"))
            case "modify-snapshot-attribute":
                stage.ec2.modify_snapshot_attribute(
                    SnapshotId=_option(words, "--snapshot-id")[0],
                    Attribute=_option(words, "--attribute")[0],
                    OperationType=_option(words, "--operation-type")[0],
                    UserIds=_option(words, "--user-ids"),
                )
            case other:
                raise AssertionError(f"the page has a command that no test runs: {other}")


def _option(words: Iterable[str], name: str) -> list[str]:
    """What follows an option, up to the next one."""
    found: list[str] = []
    on = False
    for word in words:
        if word.startswith("--"):
            on = word == name
        elif on:
            found.append(word)
    return found


def _tag(word: str) -> tuple[str, str]:
    facts = dict(part.split("=", 1) for part in word.split(","))
    return facts["Key"], facts.get("Value", "")
