"""KMS keys as EBS uses them: the account's default one, and customers' that may be missing, disabled or forbidden."""

import uuid
from collections.abc import Mapping

from ministack.services import kms

from local.emulator import iam
from local.emulator.ec2.errors import Ec2Error
from local.emulator.ec2.model import Region, Request
from local.emulator.scope import Scope

NEEDED_TO_CREATE = ("kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext")
"""Of an empty volume, or one under its snapshot's own key (documented)."""
NEEDED_TO_REENCRYPT = ("kms:ReEncryptTo", "kms:CreateGrant", "kms:GenerateDataKeyWithoutPlaintext")
"""On the key of a volume whose snapshot is under another one; on that one NEEDED_TO_REENCRYPT_FROM (recorded of another
account's snapshot)."""
NEEDED_TO_REENCRYPT_FROM = ("kms:ReEncryptFrom",)
NEEDED_TO_START = ("kms:CreateGrant",)
NEEDED_TO_COPY = ("kms:CreateGrant", "kms:GenerateDataKeyWithoutPlaintext")
"""On the copy's key, beside DescribeKey, which is asked at once (recorded from a live account)."""
NEEDED_TO_READ = ("kms:CreateGrant",)
"""On the key of another account's snapshot, to copy it (recorded; the documentation asks for more)."""


def default_key(region: Region, account: str) -> str:
    """The ARN of the account's default EBS key: the one it chose, or the AWS-managed aws/ebs."""
    chosen = region.default_keys.get(account)
    return chosen or managed_key(region, account)


def managed_key(region: Region, account: str) -> str:
    """The ARN of aws/ebs, under which nothing can be shared, whichever key is the default."""
    managed = uuid.uuid5(uuid.NAMESPACE_DNS, f"{account}.{region.name}.aws-ebs")
    return f"arn:aws:kms:{region.name}:{account}:key/{managed}"


def arn_of(request: Request, given: str) -> str:
    """The ARN of a key given by id, alias or ARN; EC2 does not check here whether it exists."""
    region, account = request.region.name, request.account
    if given in ("alias/aws/ebs", f"arn:aws:kms:{region}:{account}:alias/aws/ebs"):
        return default_key(request.region, account)
    if given.startswith("arn:") and ":key/" in given:
        return given
    alias = given.rsplit(":", maxsplit=1)[-1]
    if alias.startswith("alias/"):
        target = kms._aliases.get(alias)
        key_id = target.get("TargetKeyId") if isinstance(target, dict) else target
        return f"arn:aws:kms:{region}:{account}:key/{key_id or 'unknown-' + alias.removeprefix('alias/')}"
    return f"arn:aws:kms:{region}:{account}:key/{given}"


def why_unusable(scope: Scope, region: Region, key_arn: str | None) -> str:
    """Why EBS cannot use a key, in the words of its events; nothing if it can."""
    if not key_arn or key_arn == managed_key(region, scope.account):
        return ""
    account, key_id = key_arn.split(":", 5)[4], key_arn.rsplit("/", 1)[1]
    key = kms._keys.get_scoped(account, key_arn.split(":", 5)[3], key_id)
    if key is None:
        return f"{key_arn} does not exist."
    state = str(key.get("KeyState") or ("Enabled" if key.get("Enabled", True) else "Disabled"))
    return {"Enabled": "", "PendingDeletion": f"{key_arn} is pending deletion."}.get(state, f"{key_arn} is disabled.")


def refuse_for_copy(request: Request, key_arn: str | None) -> None:
    """What CopySnapshot refuses at once of the copy's key; all else ends the copy in error.

    Raises:
        Ec2Error: InvalidParameterValue for a key that is disabled, AuthFailure where DescribeKey is not granted.
    """
    if not key_arn:
        return
    given = str(request.get("KmsKeyId") or "")
    if given.startswith("alias/") and "/unknown-" in key_arn:
        raise Ec2Error("InvalidParameterValue", f"The specified keyId {given} is invalid")
    if why_unusable(request.scope, request.region, key_arn).endswith("is disabled."):
        raise Ec2Error("InvalidParameterValue", f"The specified keyId {key_arn} is disabled")
    if why_forbidden(request, key_arn, ("kms:DescribeKey",)):
        raise Ec2Error("AuthFailure", f"Not authorized to use key {key_arn} ", 403)


def why_forbidden(
    request: Request, key_arn: str | None, actions: tuple[str, ...], more: Mapping[str, str] | None = None
) -> str:
    """Why the caller cannot let EBS use a customer key; nothing if it can. `more` goes to the context."""
    if not key_arn or key_arn == managed_key(request.region, request.account):
        return ""
    context = {
        "kms:viaservice": f"ec2.{request.region.name}.amazonaws.com",
        "kms:grantisforawsresource": "true",
        "kms:calleraccount": request.account,
        **(more or {}),
    }
    return next(
        filter(None, (iam.why_caller_may_not(request.scope, action, key_arn, context) for action in actions)), ""
    )


def why_not_created(request: Request, key_arn: str | None, of_snapshot: str | None) -> str:
    """Why the caller cannot create a volume under a key, of a snapshot that is perhaps under another one."""
    if key_arn and of_snapshot and of_snapshot != key_arn:
        return why_forbidden(request, of_snapshot, NEEDED_TO_REENCRYPT_FROM) or why_forbidden(
            request, key_arn, NEEDED_TO_REENCRYPT
        )
    return why_forbidden(request, key_arn, NEEDED_TO_CREATE)


def for_new(request: Request, *, encrypted: bool | None, given: str | None, inherited: str | None) -> str | None:
    """The key of a new volume or copy, or nothing if it is not encrypted.

    Args:
        encrypted: the parameter.
        given: the parameter KmsKeyId.
        inherited: the key of the snapshot it comes from.

    Raises:
        Ec2Error: a key without Encrypted.
    """
    by_default = request.account in request.region.encrypt_by_default
    if given:
        if not encrypted and not by_default and not inherited:
            raise Ec2Error(
                "InvalidParameterDependency", "The parameter [KmsKeyId] requires the parameter Encrypted to be set."
            )
        return arn_of(request, given)
    if by_default:
        # An encrypted snapshot restored under encryption by default gets the default key, not the snapshot's own.
        return default_key(request.region, request.account)
    if inherited:
        return inherited
    return default_key(request.region, request.account) if encrypted else None
