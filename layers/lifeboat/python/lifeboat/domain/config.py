"""The only reader of the environment. The template sets these variables from its parameters."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from lifeboat.domain.copy_limits import COMPLETION_STEP, MOST_COMPLETION
from lifeboat.domain.ec2 import Instance
from lifeboat.domain.locks import MODES, MOST_COOL_OFF_HOURS, MOST_DAYS, NO_LOCKS, LockSettings
from lifeboat.domain.proof import Level

DEFAULT_SCHEDULE = "cron(0 2 * * ? *)"
DEFAULT_TIME_ZONE = "UTC"
COPY_REGIONS = 3
"""Most regions to copy recovery points to, and most regions that a restore fetches them from."""


class ConfigError(ValueError):
    """A parameter of the stack has an invalid value. The message is one sentence for the person who deploys it."""


PARAMETERS = {
    "LIFEBOAT_CATCH_UP_GRACE_MINUTES": "CatchUpGraceMinutes",
    "LIFEBOAT_API_SHARE_PERCENT": "ApiSharePercent",
    "LIFEBOAT_MIN_KEEP": "MinimumKept",
    "LIFEBOAT_ORPHAN_KEEP": "OrphanKeep",
    "LIFEBOAT_MAX_DELETE_PERCENT": "MaximumDeletePercent",
    "LIFEBOAT_GRACE_HOURS": "GraceHours",
    "LIFEBOAT_RETENTION_CHANGE_HOURS": "RetentionChangeHours",
    "LIFEBOAT_FAILED_AFTER_DAYS": "FailedAfterDays",
    "LIFEBOAT_LOCK_MODE": "LockMode",
    "LIFEBOAT_VERIFY": "Verify",
    "LIFEBOAT_LOCK_DAYS": "LockDays",
    "LIFEBOAT_LOCK_COOL_OFF_HOURS": "LockCoolOffHours",
    "LIFEBOAT_MANIFEST_LOCK_DAYS": "ManifestLockDays",
    "LIFEBOAT_COPY_TO_REGIONS": "CopyToRegions",
    "LIFEBOAT_COPY_KMS_KEYS": "CopyKmsKeyArns",
    "LIFEBOAT_COPY_COMPLETION_MINUTES": "CopyCompletionMinutes",
    "LIFEBOAT_RESTORE_FROM_REGIONS": "RestoreFromRegions",
    "LIFEBOAT_VAULT_READER_ROLES": "VaultReaderRoleArns",
    "LIFEBOAT_VAULT_KMS_KEY": "VaultKmsKeyArn",
    "LIFEBOAT_RESTORE_DEADLINES": "RestoreDeadlines",
}
"""The template's parameters that can be invalid, by the environment variable of each."""


def _refused(name: str, value: str, expected: str) -> ConfigError:
    """The error for a parameter: its name, its value and what was expected."""
    return ConfigError(f"{PARAMETERS[name]} is {value!r}, expected {expected}; correct it and deploy the stack again")


@dataclass(frozen=True, slots=True)
class People:
    """Which messages e-mail and chat get; empty: none, and there is no topic."""

    mail: str = ""
    chat: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """The stack's parameters. Lists are comma-separated in the environment; the names of durations have their units.

    `work_queue` is the URL of the queue for the batches of large runs, empty if there is none. `api_share` is the
    percentage of EC2's bucket of CreateSnapshots to use. `orphan_keep` is the least number of recovery points to keep
    of a lineage whose volume does not exist any more; 0 means `min_keep`, as for other lineages. `retention_hold` is
    how long recovery points stay after a change of the policy that would delete them. `verify` is the level at which
    each recovery point is read back; None: not at all. `verified_messages`: whether each success is published.
    `manifest_bucket` is the bucket of the stack's own for manifests, empty if there is none. `evidence_bucket` is the
    bucket to guard, empty if there is none. `manifest_lock_days` is for how long its manifests are locked. `metrics`:
    whether figures are metrics of CloudWatch, not only in the log.
    `failed_events` is the URL of the queue of events that failed for good.
    `people` says which messages reach them.
    """

    stack: str
    region: str
    table: str
    topic_arn: str
    selector: Selector
    schedule: str = DEFAULT_SCHEDULE
    time_zone: str = DEFAULT_TIME_ZONE
    catch_up_grace: timedelta = timedelta(minutes=30)
    work_queue: str = ""
    api_share: int = 100
    retention: str = ""
    min_keep: int = 3
    max_delete_share: float = 0.5
    grace: timedelta = timedelta(days=1)
    orphan_keep: int = 0
    failed_after: timedelta = timedelta(days=7)
    retention_hold: timedelta = timedelta(days=1)
    metrics: bool = False
    may_adopt: bool = False
    trusted_owners: tuple[str, ...] = ()
    allowed_images: tuple[str, ...] = ()
    trusted_product_codes: tuple[str, ...] = ()
    trusted_watermarks: tuple[str, ...] = ()
    trusted_snapshot_owners: tuple[str, ...] = ()
    locks: LockSettings = field(default_factory=LockSettings)
    kms_key_id: str | None = None
    encrypt_restored: bool = True
    deadlines: Mapping[str, timedelta] = field(default_factory=dict)
    copy_to: tuple[CopyDestination, ...] = ()
    copy_existing: bool = False
    copy_completion_minutes: int = 0
    restore_from: tuple[str, ...] = ()
    vault_account: str = ""
    vault_sources: tuple[VaultSource, ...] = ()
    vault_key: str = ""
    verify: Level | None = None
    verified_messages: bool = False
    manifest_bucket: str = ""
    evidence_bucket: str = ""
    manifest_lock_days: int = 0
    failed_events: str = ""
    people: People = field(default_factory=People)

    @property
    def mail_topic_arn(self) -> str:
        """The topic of the e-mails and of the alarms, which the template names."""
        return f"{self.topic_arn.rpartition(':')[0]}:{self.stack}-mail"

    @property
    def topics_read(self) -> tuple[str, ...]:
        """The topics that people subscribe to by themselves, or by the parameter NotificationEmail."""
        return (self.topic_arn, *((self.mail_topic_arn,) if self.people.mail else ()))

    @property
    def chat_topic_arn(self) -> str:
        """The topic of chat, which the template names."""
        return f"{self.topic_arn.rpartition(':')[0]}:{self.stack}-chat"

    @property
    def partition(self) -> str:
        """The partition of the stack, such as `aws`, from its topic's ARN."""
        return self.topic_arn.split(":")[1]

    @property
    def account(self) -> str:
        """The account of the stack, from its topic's ARN."""
        return self.topic_arn.split(":")[4]


def load(environment: Mapping[str, str] | None = None) -> Config:
    """Read the configuration. Raises ConfigError with the template's parameter, its value and what was expected."""
    variables = os.environ if environment is None else environment
    return Config(
        stack=_required(variables, "LIFEBOAT_STACK"),
        region=_required(variables, "AWS_REGION"),
        table=_required(variables, "LIFEBOAT_TABLE"),
        topic_arn=_required(variables, "LIFEBOAT_TOPIC"),
        selector=_selector(variables),
        schedule=variables.get("LIFEBOAT_SCHEDULE") or DEFAULT_SCHEDULE,
        time_zone=variables.get("LIFEBOAT_TIME_ZONE") or DEFAULT_TIME_ZONE,
        catch_up_grace=_catch_up_grace(variables),
        work_queue=variables.get("LIFEBOAT_WORK_QUEUE", ""),
        api_share=int(_number(variables, "LIFEBOAT_API_SHARE_PERCENT", 100, least=5, most=100)),
        retention=variables.get("LIFEBOAT_RETENTION", ""),
        min_keep=int(_number(variables, "LIFEBOAT_MIN_KEEP", 3, least=1, most=1000)),
        max_delete_share=_number(variables, "LIFEBOAT_MAX_DELETE_PERCENT", 50, least=1, most=100) / 100,
        grace=timedelta(hours=_number(variables, "LIFEBOAT_GRACE_HOURS", 24, least=0, most=24 * 365)),
        orphan_keep=int(_number(variables, "LIFEBOAT_ORPHAN_KEEP", 0, least=0, most=1000)),
        failed_after=timedelta(days=_number(variables, "LIFEBOAT_FAILED_AFTER_DAYS", 7, least=1, most=3650)),
        retention_hold=timedelta(
            hours=_number(variables, "LIFEBOAT_RETENTION_CHANGE_HOURS", 24, least=0, most=24 * 365)
        ),
        metrics=variables.get("LIFEBOAT_METRICS", "false") == "true",
        may_adopt=variables.get("LIFEBOAT_MAY_ADOPT", "false") == "true",
        trusted_owners=_list(variables, "LIFEBOAT_TRUSTED_OWNERS"),
        allowed_images=_list(variables, "LIFEBOAT_ALLOWED_IMAGES"),
        trusted_product_codes=_list(variables, "LIFEBOAT_TRUSTED_PRODUCT_CODES"),
        trusted_watermarks=_list(variables, "LIFEBOAT_TRUSTED_WATERMARKS"),
        trusted_snapshot_owners=_list(variables, "LIFEBOAT_TRUSTED_SNAPSHOT_OWNERS"),
        locks=_locks(variables),
        kms_key_id=variables.get("LIFEBOAT_KMS_KEY") or None,
        encrypt_restored=variables.get("LIFEBOAT_ENCRYPT_RESTORED", "true") == "true",
        deadlines=_deadlines(variables),
        copy_to=_copy_destinations(variables),
        copy_existing=variables.get("LIFEBOAT_COPY_EXISTING", "false") == "true",
        restore_from=_other_regions(variables, "LIFEBOAT_RESTORE_FROM_REGIONS"),
        vault_account=variables.get("LIFEBOAT_VAULT_ACCOUNT", ""),
        vault_sources=_vault_sources(variables),
        vault_key=variables.get("LIFEBOAT_VAULT_KMS_KEY", ""),
        copy_completion_minutes=_completion_minutes(variables),
        verify=_verify_level(variables),
        verified_messages=variables.get("LIFEBOAT_VERIFIED_MESSAGES", "false") == "true",
        manifest_bucket=variables.get("LIFEBOAT_MANIFEST_BUCKET", ""),
        evidence_bucket=variables.get("LIFEBOAT_EVIDENCE_BUCKET", ""),
        manifest_lock_days=int(_number(variables, "LIFEBOAT_MANIFEST_LOCK_DAYS", 0, least=0, most=MOST_DAYS)),
        failed_events=variables.get("LIFEBOAT_FAILED_EVENTS", ""),
        people=People(variables.get("LIFEBOAT_MAIL", ""), variables.get("LIFEBOAT_CHAT", "")),
    )


def _catch_up_grace(variables: Mapping[str, str]) -> timedelta:
    return timedelta(minutes=_number(variables, "LIFEBOAT_CATCH_UP_GRACE_MINUTES", 30, least=1, most=24 * 60))


def _selector(variables: Mapping[str, str]) -> Selector:
    return Selector(
        variables.get("LIFEBOAT_SELECT_TAG_KEY") or "lifeboat:backup",
        variables.get("LIFEBOAT_SELECT_TAG_VALUE") or "true",
    )


def _locks(variables: Mapping[str, str]) -> LockSettings:
    mode = variables.get("LIFEBOAT_LOCK_MODE") or NO_LOCKS
    if mode not in MODES:
        raise _refused("LIFEBOAT_LOCK_MODE", mode, f"one of {', '.join(MODES)}")
    return LockSettings(
        mode=mode,
        days=int(_number(variables, "LIFEBOAT_LOCK_DAYS", 0, least=0, most=MOST_DAYS)),
        cool_off_hours=int(_number(variables, "LIFEBOAT_LOCK_COOL_OFF_HOURS", 0, least=0, most=MOST_COOL_OFF_HOURS)),
    )


def _verify_level(variables: Mapping[str, str]) -> Level | None:
    text = variables.get("LIFEBOAT_VERIFY") or "read"
    if text not in {"off", *Level}:
        raise _refused("LIFEBOAT_VERIFY", text, f"one of off, {', '.join(Level)}")
    return None if text == "off" else Level(text)


def _copy_destinations(variables: Mapping[str, str]) -> tuple[CopyDestination, ...]:
    """The regions in their order, each with the key at the same position of the other list, or without a key."""
    regions = _list(variables, "LIFEBOAT_COPY_TO_REGIONS")
    keys = _list(variables, "LIFEBOAT_COPY_KMS_KEYS")
    home = variables.get("AWS_REGION")
    if len(regions) > COPY_REGIONS or len(set(regions)) < len(regions) or home in regions:
        expected = f"at most {COPY_REGIONS} different regions, none of them this one, {home}"
        raise _refused("LIFEBOAT_COPY_TO_REGIONS", ",".join(regions), expected)
    if keys and [_of_arn(key, 3) for key in keys] != list(regions):
        each = f"for each of CopyToRegions in this order: {','.join(regions)}" if regions else "for no region"
        raise _refused("LIFEBOAT_COPY_KMS_KEYS", ",".join(keys), f"nothing, or the ARN of one key {each}")
    return tuple(CopyDestination(region, keys[at] if keys else None) for at, region in enumerate(regions))


def _other_regions(variables: Mapping[str, str], name: str) -> tuple[str, ...]:
    """The regions in their order without the function's own, so that all stacks may have the same list."""
    regions = tuple(dict.fromkeys(item for item in _list(variables, name) if item != variables.get("AWS_REGION")))
    if len(regions) > COPY_REGIONS:
        raise _refused(name, ",".join(regions), f"at most {COPY_REGIONS} regions beside this one")
    return regions


def _completion_minutes(variables: Mapping[str, str]) -> int:
    minutes = _number(variables, "LIFEBOAT_COPY_COMPLETION_MINUTES", 0, least=0, most=MOST_COMPLETION)
    if minutes % COMPLETION_STEP:
        expected = f"0, or {COMPLETION_STEP} to {MOST_COMPLETION} in steps of {COMPLETION_STEP}"
        raise _refused("LIFEBOAT_COPY_COMPLETION_MINUTES", f"{minutes:g}", expected)
    return int(minutes)


def _vault_sources(variables: Mapping[str, str]) -> tuple[VaultSource, ...]:
    """The source accounts in their order, each with the role at the same position of the other list.

    A vault needs a KMS key of its own: a copy under `aws/ebs` cannot be shared with another account.
    """
    accounts = _list(variables, "LIFEBOAT_VAULT_SOURCE_ACCOUNTS")
    roles = _list(variables, "LIFEBOAT_VAULT_READER_ROLES")
    if [_of_arn(role, 4) for role in roles] != list(accounts):
        each = f"the ARN of one role for each of VaultSourceAccounts in this order: {','.join(accounts)}"
        expected = each if accounts else "nothing, because VaultSourceAccounts is empty"
        raise _refused("LIFEBOAT_VAULT_READER_ROLES", ",".join(roles), expected)
    if accounts and not variables.get("LIFEBOAT_VAULT_KMS_KEY"):
        expected = "the ARN of a KMS key of this account, because a vault keeps its copies under a key of its own"
        raise _refused("LIFEBOAT_VAULT_KMS_KEY", "", expected)
    return tuple(VaultSource(account, role) for account, role in zip(accounts, roles, strict=True))


def _of_arn(text: str, part: int) -> str:
    """The region (3) or the account (4) of an ARN; empty if the text is not an ARN."""
    parts = text.split(":")
    return parts[part] if len(parts) > part + 1 else ""


DEADLINE = re.compile(
    r"(copies|volumes|stop|swap|start|verify)=([1-9][0-9]{0,3})m|(running)=([5-9]|[1-9][0-9]{1,3})s", re.ASCII
)
"""One deadline of RestoreDeadlines, as the parameter's pattern has it."""


def _deadlines(variables: Mapping[str, str]) -> dict[str, timedelta]:
    """The deadlines that the environment sets; the restore has a default for each."""
    text = variables.get("LIFEBOAT_RESTORE_DEADLINES", "")
    found: dict[str, timedelta] = {}
    for part in text.split(",") if text else ():
        read = DEADLINE.fullmatch(part)
        step = "window" if read and read[3] else read[1] if read else ""
        if not read or step in found:
            expected = "a list such as stop=15m,running=120s, each of its steps at most once"
            raise _refused("LIFEBOAT_RESTORE_DEADLINES", text, expected)
        found[step] = timedelta(seconds=int(read[4])) if read[3] else timedelta(minutes=int(read[2]))
    return found


def _required(variables: Mapping[str, str], name: str) -> str:
    value = variables.get(name, "")
    if not value:
        raise ConfigError(
            f"the function's environment variable {name} is empty, expected a value from the template; deploy the "
            "stack again"
        )
    return value


def _list(variables: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(item for part in variables.get(name, "").split(",") if (item := part.strip()))


def _number(variables: Mapping[str, str], name: str, default: float, *, least: float, most: float) -> float:
    text = variables.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = float("nan")
    if text and not least <= value <= most:
        raise _refused(name, text, f"a number from {least:g} to {most:g}")
    return value


@dataclass(frozen=True, slots=True)
class Selector:
    """The instances to back up: those with this tag and exactly this value. Never a prefix."""

    tag_key: str
    tag_value: str

    def selects(self, instance: Instance) -> bool:
        return instance.tags.get(self.tag_key) == self.tag_value


@dataclass(frozen=True, slots=True)
class CopyDestination:
    """A region to copy recovery points to. `kms_key_id` is None for the region's default key."""

    region: str
    kms_key_id: str | None = None


@dataclass(frozen=True, slots=True)
class VaultSource:
    """An account whose recovery points the vault copies. `reader` is the role in it that reads their metadata."""

    account: str
    reader: str
