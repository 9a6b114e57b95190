"""Who may delete evidence, as far as the bucket policy says.

Roles and users of the account need no bucket policy: what their own policies allow holds unless the bucket policy
denies it (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

DESTRUCTIVE = (
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:DeleteBucket",
    "s3:PutLifecycleConfiguration",
    "s3:PutBucketVersioning",
    "s3:PutBucketPolicy",
    "s3:DeleteBucketPolicy",
)
"""Actions that delete evidence, or open the way to it."""

FOR_GOOD = "s3:DeleteObjectVersion"
"""With versioning, only this action makes an object go for good
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeletingObjectVersions.html)."""

PRINCIPALS = frozenset({"aws:principalarn", "aws:userid", "aws:username"})
"""Condition keys that name single roles and users. aws:PrincipalAccount and aws:PrincipalOrgID except all of them."""

WITHOUT_MFA = frozenset(
    {
        ("boolifexists", "aws:multifactorauthpresent", "false"),
        ("null", "aws:multifactorauthpresent", "true"),
        ("null", "aws:multifactorauthage", "true"),
    }
)
"""Conditions that deny whoever has not shown a second factor. `Bool` does not: an access key has no such key
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html)."""


ANY_KEYS = ("a", "Z/9.x")
"""Keys that a pattern for every object covers. One for keys that begin or end alike, or are as long, covers one."""

DELETED = re.compile(r"A(?:RO|ID)A[A-Z0-9]{12,}")
"""What a policy has in the place of a role or user that was deleted. Nobody can be it any more
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html)."""


def statements_of(policy: str) -> list[dict[str, Any]]:
    """The statements of a bucket policy; none for a text that is no policy."""
    try:
        found = json.loads(policy).get("Statement", [])
    except (ValueError, AttributeError):
        return []
    found = [found] if isinstance(found, Mapping) else found
    return [dict(item) for item in found if isinstance(item, Mapping)]


def denies_deletion_for_good(policy: str, bucket: str) -> bool:
    """Whether the policy denies everyone, perhaps with chosen exceptions, to delete any version for good."""
    return any(
        statement.get("Effect") == "Deny"
        and _is_everyone(statement.get("Principal"))
        and _names(statement, FOR_GOOD)
        and _covers_all(statement, bucket)
        and all(_only_excepts(*item) for item in _conditions(statement))
        for statement in statements_of(policy)
    )


def others_who_may_delete(policy: str, account: str) -> tuple[str, ...]:
    """The principals outside the account to which the policy allows a destructive action; `*` is everyone.

    A role or user that was deleted is none.
    """
    found: list[str] = []
    for statement in statements_of(policy):
        if statement.get("Effect") == "Allow" and any(_names(statement, action) for action in DESTRUCTIVE):
            found += [name for name in _principals(statement) if _is_outside(name, account)]
    return tuple(dict.fromkeys(found))


def _principals(statement: Mapping[str, Any]) -> list[str]:
    if "NotPrincipal" in statement:
        return ["*"]
    principal = statement.get("Principal")
    if not isinstance(principal, Mapping):
        return [str(principal)] if principal else []
    return [str(name) for kind in ("AWS", "CanonicalUser") for name in _listed(principal.get(kind))]


def _is_everyone(principal: Any) -> bool:
    return principal == "*" or (isinstance(principal, Mapping) and "*" in _listed(principal.get("AWS")))


def _is_outside(principal: str, account: str) -> bool:
    parts = principal.split(":")
    return (parts[4] if len(parts) > 5 else principal) != account and not DELETED.fullmatch(principal)


def _names(statement: Mapping[str, Any], action: str) -> bool:
    """Whether the statement is about an action. Names of actions have no case, and may have `*` and `?`."""

    def match(patterns: Iterable[Any]) -> bool:
        return any(fnmatchcase(action.lower(), str(pattern).lower()) for pattern in patterns)

    if "NotAction" in statement:
        return not match(_listed(statement["NotAction"]))
    return match(_listed(statement.get("Action")))


def _covers_all(statement: Mapping[str, Any], bucket: str) -> bool:
    """Whether the statement is about every object of the bucket."""
    patterns = [str(pattern).split(":::")[-1] for pattern in _listed(statement.get("Resource"))]
    return any(all(fnmatchcase(f"{bucket}/{key}", pattern) for key in ANY_KEYS) for pattern in patterns)


def _conditions(statement: Mapping[str, Any]) -> list[tuple[str, str, list[str]]]:
    """Each condition of a statement: its operator and key in small letters, and its values."""
    conditions = statement.get("Condition") or {}
    return [
        (operator.lower(), key.lower(), [str(value).lower() for value in _listed(values)])
        for operator, keys in conditions.items()
        for key, values in keys.items()
    ]


def _only_excepts(operator: str, key: str, values: list[str]) -> bool:
    """Whether a denial with this condition still denies all but chosen roles and users, or those with a second factor.

    `StringEquals` denies only those that it names, so only an operator with `Not` excepts.
    """
    if key in PRINCIPALS:
        everyone = key == "aws:principalarn" and any(value.split(":")[-1] in {"*", "role/*"} for value in values)
        return "not" in operator and not everyone
    return all((operator, key, value) in WITHOUT_MFA for value in values)


def _listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]
