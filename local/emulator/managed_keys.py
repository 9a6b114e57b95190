"""aws/ebs as KMS shows it. ministack has no keys of AWS, and EBS encrypts with one all the same."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from local.emulator.ec2.keys import managed_key
from local.emulator.ec2.model import WORLD
from local.emulator.scope import Scope

type Describe = Callable[[Mapping[str, Any]], Any]


def described(describe: Describe) -> Describe:
    """In place of ministack's DescribeKey: the same, and aws/ebs, enabled and managed by AWS."""

    def describe_key(data: Mapping[str, Any]) -> Any:
        scope = Scope.current()
        arn = managed_key(WORLD.region(scope.region), scope.account)
        if data.get("KeyId") not in (arn, arn.rsplit("/", 1)[1], "alias/aws/ebs"):
            return describe(data)
        metadata = {
            "KeyId": arn.rsplit("/", 1)[1],
            "Arn": arn,
            "Enabled": True,
            "KeyState": "Enabled",
            "KeyManager": "AWS",
            "KeyUsage": "ENCRYPT_DECRYPT",
            "Origin": "AWS_KMS",
            "Description": "Default key that protects my EBS volumes when no other key is defined",
        }
        headers = {"Content-Type": "application/x-amz-json-1.1"}
        return 200, headers, json.dumps({"KeyMetadata": metadata}).encode()

    return describe_key
