"""The policies of template.yaml with their references resolved, and the policy evaluator of the local AWS.

Nothing is started: the evaluator is a module of the local AWS's environment.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from tools.docs_template import ROOT, function_statements, resource_statements

ACCOUNT = "111122223333"
REGION = "eu-west-1"
STACK = "lifeboat"
TRUSTED = "444455556666"
"""An account whose shared snapshots the stack trusts."""

VAULT = "777788889999"
"""The account that the stack shares snapshots with."""

SOURCE = "222233334444"
"""An account whose snapshots the stack copies as its vault."""

READER = f"arn:aws:iam::{SOURCE}:role/lifeboat-VaultReaderRole"

AWAY = "eu-central-1"
"""A region that the stack copies to, and that a restore may copy from."""

EVIDENCE = "cadoresponse-1"
"""The bucket whose guard the stack is."""

RESOURCE_ACCOUNT = "aws:resourceaccount"

REFERENCES: Mapping[str, Any] = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": STACK,
    "StateTable.Arn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{STACK}-StateTable",
    "ManifestBucket": f"{STACK}-manifestbucket",
    "ManifestBucket.Arn": f"arn:aws:s3:::{STACK}-manifestbucket",
    "NotificationTopic": f"arn:aws:sns:{REGION}:{ACCOUNT}:{STACK}-NotificationTopic",
    "MailTopic": f"arn:aws:sns:{REGION}:{ACCOUNT}:{STACK}-mail",
    "ChatTopic": f"arn:aws:sns:{REGION}:{ACCOUNT}:{STACK}-chat",
    "FailedEvents.Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{STACK}-FailedEvents",
    "SnapshotWork.Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{STACK}-SnapshotWork",
    "TrustedSnapshotOwners": TRUSTED,
    "EvidenceBucket": EVIDENCE,
    "CopyToRegions": AWAY,
    "HomeRegion": AWAY,
    "RestoreFromRegions": AWAY,
    "VaultAccount": VAULT,
    "VaultSourceAccounts": SOURCE,
    "VaultReaderRoleArns": READER,
}

type Statement = dict[str, Any]
type Policies = dict[str, list[Statement]]


def deployed(template: Mapping[str, Any]) -> Policies:
    """The statements by owner: a function (`PruneSnapshots`), a role, or a topic or queue with a policy of its own.

    Every condition of the stack is taken to hold, so that the widest deployment is asked about.
    """
    known = {name: item["Default"] for name, item in template["Parameters"].items()} | dict(REFERENCES)
    found: Policies = {}
    # A statement that only denies gives nobody a right. tests/template holds it against what it must say.
    letting_in = [found for found in resource_statements(template) if found[1]["Effect"] == "Allow"]
    for owner, statement in [*function_statements(template), *letting_in]:
        found.setdefault(owner, []).append(
            {key: _put_in(value, known) for key, value in statement.items() if key != "only if"}
        )
    return found


def _put_in(value: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_put_in(item, known) for item in value]
    if isinstance(value, str):
        return re.sub(r"\$\{([^}]+)\}", lambda name: str(known[name[1]]), value)
    if not isinstance(value, Mapping):
        return value
    if set(value) == {"Ref"}:
        return known[value["Ref"]]
    if set(value) == {"Fn::GetAtt"}:
        return known[value["Fn::GetAtt"]]
    if set(value) == {"Fn::Sub"}:
        return _put_in(value["Fn::Sub"], known)
    if set(value) == {"Fn::If"}:
        return _put_in(value["Fn::If"][1], known)
    if set(value) == {"Fn::Split"}:
        separator, text = value["Fn::Split"]
        return str(_put_in(text, known)).split(separator)
    if set(value) == {"Fn::Join"}:
        separator, items = value["Fn::Join"]
        return separator.join(_put_in(items, known))
    return {_put_in(key, known): _put_in(item, known) for key, item in value.items()}


@cache
def evaluator() -> Any:
    """The policy evaluator of the local AWS; `tools/setup local` installs it."""
    [path] = (ROOT / ".tools" / "local" / "lib").glob("python3*/site-packages/ministack/core/iam_evaluator.py")
    specification = importlib.util.spec_from_file_location("local_iam_evaluator", path)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look up their module
    specification.loader.exec_module(module)
    _remember_actions(module)
    _take_owners_of_snapshots(module)
    return module


def _remember_actions(module: Any) -> None:
    """Cache the matches of actions: hundreds of mutants share the questions and nearly all statements."""
    match = module._action_matches

    @cache
    def remembered(action: str, actions: tuple[str, ...], not_actions: tuple[str, ...]) -> bool:
        return bool(match(action, list(actions), list(not_actions)))

    def matches(action: str, actions: list[str], not_actions: list[str]) -> bool:
        return remembered(action, tuple(actions), tuple(not_actions))

    module._action_matches = matches


def _take_owners_of_snapshots(module: Any) -> None:
    """Let a question name the resource's account: the ARN of a snapshot has none."""
    resolve = module._resolve_condition_key

    def resolved(key: str, question: Any) -> Any:
        named = key.lower() == RESOURCE_ACCOUNT and question.service_context.get(RESOURCE_ACCOUNT)
        return named or resolve(key, question)

    module._resolve_condition_key = resolved


class Asked:
    """Policies that are parsed once for many questions."""

    def __init__(self, documents: Sequence[Any]) -> None:
        self._documents = documents
        self._parsed = [evaluator().parse_policy_document(document) for document in documents]

    def allow(self, action: str, resource: str, context: Mapping[str, Any], service: str = "") -> bool:
        """Whether the policies allow an action on a resource; with `service`, to that AWS service."""
        iam = evaluator()
        keys = {key.lower(): value for key, value in context.items()}
        question = iam.EvalContext(
            principal_arn="*" if service else f"arn:aws:sts::{ACCOUNT}:assumed-role/role/session",
            principal_type="Service" if service else "AssumedRole",
            principal_account="" if service else ACCOUNT,
            action=action,
            resource_arn=resource,
            region=REGION,
            service_context={"ec2:region": REGION, **keys},
        )
        if service:
            return any(
                iam.evaluate_resource_policy(document, question, service=service).decision == "Allow"
                for document in self._documents
            )
        return bool(iam.evaluate(question, self._parsed).decision == "Allow")
