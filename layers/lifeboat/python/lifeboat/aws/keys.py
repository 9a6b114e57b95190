"""KMS keys: reads only."""

from __future__ import annotations

from lifeboat.aws import clients
from lifeboat.aws.errors import translated
from lifeboat.domain.stack import Key


def find_key(arn: str) -> Key:
    """A key by its ARN, in the region of the ARN. Raises AwsError."""
    with translated():
        found = clients.kms(arn.split(":")[3]).describe_key(KeyId=arn)["KeyMetadata"]
    return Key(arn, found["KeyState"], found.get("KeyManager") == "AWS")
