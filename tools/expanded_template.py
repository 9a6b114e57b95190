"""template.yaml as CloudFormation creates it: after SAM's transform, with the parameters of a deployment.

`tools/setup sam` installs the transform.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from tools.docs_template import ROOT

ACCOUNT = "111122223333"
AWAY = "eu-central-1"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"

DEFAULTS: Mapping[str, str] = {}
EVERYTHING: Mapping[str, str] = {
    "LargeRuns": "true",
    "LockMode": "compliance",
    "Verify": "full",
    "RecycleBinDays": "7",
    "KmsKeyArn": KEY,
    "AllowAdoption": "true",
    "CopyToRegions": f"{AWAY},us-east-1,ap-southeast-2",
    "CopyKmsKeyArns": ",".join(KEY.replace("eu-west-1", region) for region in (AWAY, "us-east-1", "ap-southeast-2")),
    "HomeRegion": AWAY,
    "VaultAccount": "777788889999",
    "VaultSourceAccounts": "222233334444,333344445555",
    "VaultReaderRoleArns": ",".join(
        f"arn:aws:iam::{source}:role/lifeboat-VaultReaderRole-ABCDEFGHIJKL" for source in (222233334444, 333344445555)
    ),
    "VaultKmsKeyArn": KEY,
    "VolumeKmsKeyArn": KEY,
    "TrustedSnapshotOwners": "444455556666,555566667777",
    "RestoreFromRegions": f"{AWAY},us-east-1",
    "EvidenceBucket": "cadoresponse-1a2b3c",
    "NotificationEmail": "someone@example.com",
    "Chat": "nightly",
    "Tracing": "Active",
}
"""Every condition of the template holds with these."""

DEPLOYMENTS: Mapping[str, Mapping[str, str]] = {"defaults": DEFAULTS, "everything on": EVERYTHING}

ARNS: Mapping[str, str] = {
    "AWS::DynamoDB::Table": "dynamodb:{region}:{account}:table/{name}",
    "AWS::CloudWatch::Alarm": "cloudwatch:{region}:{account}:alarm:{name}",
    "AWS::Events::Rule": "events:{region}:{account}:rule/{name}",
    "AWS::IAM::ManagedPolicy": "iam::{account}:policy/{name}",
    "AWS::IAM::Role": "iam::{account}:role/{name}",
    "AWS::Lambda::Function": "lambda:{region}:{account}:function:{name}",
    "AWS::S3::Bucket": "s3:::{name}",
    "AWS::SNS::Topic": "sns:{region}:{account}:{name}",
    "AWS::SQS::Queue": "sqs:{region}:{account}:{name}",
}
NAMED_BY_ARN = {"AWS::IAM::ManagedPolicy", "AWS::SNS::Topic"}
"""Types whose Ref is the ARN."""

type Resources = dict[str, dict[str, Any]]

_NOTHING = object()


def transformed(parameters: Mapping[str, str], region: str = "eu-west-1") -> dict[str, Any]:
    """The template after SAM's transform, with CloudFormation's own functions still in it.

    Raises:
        RuntimeError: SAM refuses the template; the message has SAM's words.
    """
    done = subprocess.run(
        [ROOT / ".tools/sam/bin/python", ROOT / "tests/template/transform.py", json.dumps(dict(parameters))],
        env={"AWS_DEFAULT_REGION": region},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def expanded(
    parameters: Mapping[str, str], *, region: str = "eu-west-1", partition: str = "aws", suffix: str = "amazonaws.com"
) -> Resources:
    """The resources that a deployment makes, every reference and condition resolved."""
    return _Expansion(transformed(parameters, region), parameters, region, partition, suffix).resources()


class _Expansion:
    def __init__(
        self, template: Mapping[str, Any], parameters: Mapping[str, str], region: str, partition: str, suffix: str
    ) -> None:
        self._template = template
        self._region, self._partition = region, partition
        self._known: dict[str, Any] = {
            "AWS::Region": region,
            "AWS::Partition": partition,
            "AWS::URLSuffix": suffix,
            "AWS::AccountId": ACCOUNT,
            "AWS::StackName": "lifeboat",
            "AWS::NoValue": _NOTHING,
        }
        for name, item in template["Parameters"].items():
            value = str(parameters.get(name, item["Default"]))
            self._known[name] = value.split(",") if item["Type"] == "CommaDelimitedList" else value
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._attribute,
            "Fn::Sub": self._sub,
            "Fn::If": lambda of: self._put_in(of[1 if self._holds(of[0]) else 2]),
            "Fn::Join": lambda of: of[0].join(self._put_in(of[1])),
            "Fn::Split": lambda of: str(self._put_in(of[1])).split(of[0]),
            "Fn::Equals": lambda of: str(self._put_in(of[0])) == str(self._put_in(of[1])),
            "Fn::Not": lambda of: not self._put_in(of[0]),
            "Fn::And": lambda of: all(map(self._put_in, of)),
            "Fn::Or": lambda of: any(map(self._put_in, of)),
            "Condition": self._holds,
        }

    def resources(self) -> Resources:
        return {
            name: {"Type": item["Type"], "Properties": self._put_in(item.get("Properties", {}))}
            for name, item in self._template["Resources"].items()
            if "Condition" not in item or self._holds(item["Condition"])
        }

    def _holds(self, condition: str) -> bool:
        return bool(self._put_in(self._template["Conditions"][condition]))

    def _ref(self, name: str) -> Any:
        if name in self._known:
            return self._known[name]
        return self._arn(name) if self._template["Resources"][name]["Type"] in NAMED_BY_ARN else name

    def _attribute(self, of: str | list[str]) -> str:
        name, attribute = of.split(".") if isinstance(of, str) else of
        return self._arn(name) if attribute == "Arn" else name

    def _arn(self, name: str) -> str:
        form = ARNS[self._template["Resources"][name]["Type"]]
        return f"arn:{self._partition}:{form.format(region=self._region, account=ACCOUNT, name=name)}"

    def _sub(self, of: str | list[Any]) -> str:
        text, more = (of, {}) if isinstance(of, str) else of

        def value(found: re.Match[str]) -> str:
            name = found[1]
            if name in more:
                return str(self._put_in(more[name]))
            return str(self._attribute(name) if "." in name else self._ref(name))

        return re.sub(r"\$\{([A-Za-z0-9:.]+)\}", value, text)

    def _put_in(self, value: Any) -> Any:
        if isinstance(value, list):
            return [item for item in map(self._put_in, value) if item is not _NOTHING]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            [(name, of)] = value.items()
            # `Condition` with a text is one of the stack's; a statement's is a mapping.
            if name in self._functions and (name != "Condition" or isinstance(of, str)):
                return self._functions[name](of)
        put_in = {key: self._put_in(item) for key, item in value.items()}
        return {key: item for key, item in put_in.items() if item is not _NOTHING}
