"""The generated parts of docs/reference/parameters.md and permissions.md: what template.yaml takes, gives and allows.

`python tools/generate_docs.py` writes them into the pages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from tools.marked_page import ROOT, MarkedPage, table

TEMPLATE = ROOT / "template.yaml"

FUNCTION = "AWS::Serverless::Function"
MANAGED_POLICY = "AWS::IAM::ManagedPolicy"
ROLE = "AWS::IAM::Role"
ROLE_SAYS = {"AssumeRolePolicyDocument", "Description", "Policies"}
"""What a role of the template's own may say; more could be a right that the page would leave out."""
RESOURCE_POLICIES = {
    "AWS::S3::BucketPolicy": "Bucket",
    "AWS::SNS::TopicPolicy": "Topics",
    "AWS::SQS::QueuePolicy": "Queues",
}
"""Kinds of resources that let others in, and the property that names what they stand before."""

ONLY_IF = "only if"
"""The key under which a statement carries the conditions of the template that it depends on."""

type Json = Mapping[str, Any]


_SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, ten times as fast, where PyYAML was built with it."""


class _Loader(_SafeLoader):
    """Reads CloudFormation's short forms as their long ones."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _short_form)


def read_template(text: str) -> dict[str, Any]:
    """The template as a mapping, its short forms in full: `!Ref A` is `{"Ref": "A"}`, `!Sub t` `{"Fn::Sub": "t"}`."""
    template: dict[str, Any] = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    return template


def _template() -> dict[str, Any]:
    return read_template(TEMPLATE.read_text())


# --- docs/reference/parameters.md


def parameters(template: Json) -> str:
    """The parameters in the groups of the console's form, then the outputs."""
    parts = []
    for group in template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]:
        known = {name: template["Parameters"][name] for name in group["Parameters"]}
        rows = [[f"`{name}`", _default(item), _allowed(item), item["Description"]] for name, item in known.items()]
        parts.append(f"### {group['Label']['default']}\n\n{table('parameter|default|allowed|meaning', rows)}")
    outputs = [[f"`{name}`", item["Description"]] for name, item in template["Outputs"].items()]
    parts.append(f"## Outputs\n\n{table('output|meaning', outputs)}")
    return "\n" + "\n\n".join(parts) + "\n\n"


def _default(parameter: Json) -> str:
    return f"`{parameter['Default']}`" if parameter["Default"] != "" else "nothing"


def _allowed(parameter: Json) -> str:
    if "AllowedValues" in parameter:
        return ", ".join(f"`{value}`" for value in parameter["AllowedValues"])
    if "ConstraintDescription" in parameter:
        return str(parameter["ConstraintDescription"])
    if "MinValue" in parameter or "MaxValue" in parameter:
        return f"{parameter.get('MinValue', 'any')} to {parameter.get('MaxValue', 'any')}"
    return "a list, with commas" if "List" in parameter["Type"] else "a text"


# --- docs/reference/permissions.md


def rights(template: Json) -> str:
    """What each function may do, and which services may use the topic and the queue."""
    own = [
        [f"`{function}`", _actions(statement), _resources(statement), _conditions(statement)]
        for function, statement in function_statements(template)
    ]
    others = [
        [f"`{target}`", _principal(statement), _actions(statement), _conditions(statement)]
        for target, statement in resource_statements(template)
    ]
    return (
        f"\n{table('function|action|on what|under which condition', own)}\n\n"
        f"Who may reach the topic and the queue from outside the functions:\n\n"
        f"{table('resource|who|action|under which condition', others)}\n\n"
    )


def function_statements(template: Json) -> Iterator[tuple[str, Json]]:
    """Every statement of every function's role, managed policies included, with the function's name.

    A role of the template's own, which a service takes on, is there by its name, as a function is.

    Raises ValueError for a right that comes another way, so that none is left out of the page.
    """
    _refuse_unknown_ways(template)
    for name, resource in template["Resources"].items():
        if resource["Type"] == ROLE:
            yield from _role_statements(name, resource)
        if resource["Type"] != FUNCTION:
            continue
        for policy, policy_if in _chosen(resource["Properties"]["Policies"]):
            for statement, statement_if in _chosen(_document(policy, template)["Statement"]):
                yield name.removesuffix("Function"), {**statement, ONLY_IF: policy_if + statement_if}


def _role_statements(name: str, role: Json) -> Iterator[tuple[str, Json]]:
    only_if = (role["Condition"],) if "Condition" in role else ()
    for policy in role["Properties"]["Policies"]:
        for statement, statement_if in _chosen(policy["PolicyDocument"]["Statement"], only_if):
            yield name.removesuffix("Role"), {**statement, ONLY_IF: statement_if}


def _chosen(items: Iterable[Any], only_if: tuple[str, ...] = ()) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Each item with the template's conditions under which it is there; `!If` gives each of its two sides."""
    for item in items:
        if isinstance(item, Mapping) and "Fn::If" in item:
            condition, wanted, otherwise = item["Fn::If"]
            yield from _chosen([wanted], (*only_if, condition))
            yield from _chosen([otherwise], (*only_if, f"not {condition}"))
        elif item != {"Ref": "AWS::NoValue"}:
            yield item, only_if


def _refuse_unknown_ways(template: Json) -> None:
    for name, resource in template["Resources"].items():
        kind = resource["Type"]
        grants = kind.startswith("AWS::IAM::") or kind.endswith(("Policy", "::Permission"))
        if kind == ROLE and set(resource["Properties"]) != ROLE_SAYS:
            raise ValueError(
                f"{name} says {', '.join(resource['Properties'])}, expected {', '.join(sorted(ROLE_SAYS))}"
            )
        if grants and kind not in {MANAGED_POLICY, ROLE, *RESOURCE_POLICIES}:
            raise ValueError(f"{name} is {kind}, which docs/reference/permissions.md would leave out")
        if kind == MANAGED_POLICY and {"Roles", "Users", "Groups"} & set(resource["Properties"]):
            raise ValueError(f"{name} is attached to a role by its own properties, expected by a function's Policies")
        if kind == FUNCTION and "Role" in resource["Properties"]:
            raise ValueError(f"{name} has a Role of its own, expected Policies")


def _document(policy: Any, template: Json) -> Json:
    if isinstance(policy, Mapping) and "Statement" in policy:
        return policy
    if isinstance(policy, Mapping) and set(policy) == {"Ref"}:
        document = template["Resources"][policy["Ref"]]["Properties"]["PolicyDocument"]
        return json.loads(document["Fn::Sub"]) if "Fn::Sub" in document else document
    raise ValueError(f"policy {policy!r} is neither a document nor a !Ref to one of this template")


def resource_statements(template: Json) -> Iterator[tuple[str, Json]]:
    """Every statement of a policy that lets others in, with the logical id of what it stands before."""
    for resource in template["Resources"].values():
        if resource["Type"] in RESOURCE_POLICIES:
            for target in _listed(resource["Properties"][RESOURCE_POLICIES[resource["Type"]]]):
                for statement, only_if in _chosen(resource["Properties"]["PolicyDocument"]["Statement"]):
                    yield target["Ref"], {**statement, ONLY_IF: only_if}


def _actions(statement: Json) -> str:
    verb = "" if statement["Effect"] == "Allow" else "**never** "
    return verb + ", ".join(f"`{action}`" for action in _listed(statement["Action"]))


def _principal(statement: Json) -> str:
    principal = statement["Principal"]
    if isinstance(principal, str):
        return f"`{principal}`"
    return ", ".join(f"`{_text(item)}`" for items in principal.values() for item in _listed(items))


def _resources(statement: Json) -> str:
    return ", ".join(f"`{_resource(item)}`" for item, _ in _chosen(_listed(statement["Resource"])))


def _resource(item: Any) -> str:
    """`volume/*` for the ARN of this account's volumes; the logical id for what the template makes."""
    if isinstance(item, Mapping) and "Fn::GetAtt" in item:
        return str(item["Fn::GetAtt"]).removesuffix(".Arn")
    text = _text(item).replace("${AWS::StackName}", "<StackName>")
    if not text.startswith("arn:"):
        return text.removeprefix("${").removesuffix("}")
    _, _, service, _, account, rest = re.sub(r"\$\{AWS::\w+\}", "here", text).split(":", 5)
    name = rest if service == "ec2" else f"{service} {rest}"
    return f"{name} of any account" if account == "*" else name


def _conditions(statement: Json) -> str:
    tests = [
        _condition(operator, key, value)
        for operator, pairs in statement.get("Condition", {}).items()
        for key, value in pairs.items()
    ]
    stack = [f"the stack's condition `{name}`" for name in statement.get(ONLY_IF, ())]
    return "; ".join(stack + tests) or "-"


_OPERATORS = {
    "StringEquals": "is",
    "StringLike": "is like",
    "StringNotEquals": "is not",
    "NumericLessThanEquals": "is at most",
    "ArnEquals": "is",
    "ArnLike": "is like",
    "Bool": "is",
    "ForAllValues:StringEquals": "holds only",
    "StringEqualsIfExists": "is, where AWS says it,",
    "ForAnyValue:StringEquals": "holds one of",
}


def _condition(operator: str, key: str, value: Any) -> str:
    if operator == "Null":
        return f"`{key}` is {'absent' if value == 'true' else 'present'}"
    wanted = " or ".join(f"`{_value(item)}`" for item, _ in _chosen(_listed(value)))
    return f"`{key}` {_OPERATORS.get(operator, operator)} {wanted}"


def _value(item: Any) -> str:
    return re.sub(r"\$\{AWS::(\w+)\}", r"<\1>", _text(item))


def _text(item: Any) -> str:
    """A value of the template as people write it: `${X}` for a reference."""
    if isinstance(item, Mapping):
        kind, value = next(iter(item.items()))
        if kind == "Fn::Split":
            return _text(value[1])
        return str(value) if kind == "Fn::Sub" else f"${{{value}}}"
    return str(item)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


PARAMETERS = MarkedPage(
    path=ROOT / "docs" / "reference" / "parameters.md",
    begin="<!-- parameters and outputs: written by `make docs` -->",
    end="<!-- end of the parameters and outputs -->",
    render=lambda: parameters(_template()),
)
SECURITY = MarkedPage(
    path=ROOT / "docs" / "reference" / "permissions.md",
    begin="<!-- rights: written by `make docs` -->",
    end="<!-- end of the rights -->",
    render=lambda: rights(_template()),
)
