"""What a large or a foreign deployment may not run into: Lambda's environment, IAM's sizes, another partition."""

from __future__ import annotations

import json
import re
from re import _parser as sre_parse  # type: ignore[attr-defined] # it knows how wide a match can be
from typing import Any

import pytest

from tools.docs_template import ROOT, TEMPLATE, read_template
from tools.expanded_template import EVERYTHING, KEY, expanded
from tools.policy_reference import findings, owners

MOST_ENVIRONMENT = 4096
"""Bytes of the names and values of a function's variables (https://docs.aws.amazon.com/lambda/latest/dg/limits.html)."""

MOST_SOURCES = 20
"""What docs/guide/migrate.md promises a vault."""

NAMES_OF_AWS = 250
"""Bytes that the real ARNs of topic and queue, with their random ends, may be longer than the ones here."""


def vault(sources: int) -> dict[str, str]:
    accounts = [str(222233330000 + number) for number in range(sources)]
    roles = [f"arn:aws-us-gov:iam::{account}:role/lifeboat-VaultReaderRole-ABCDEFGHIJKL" for account in accounts]
    return {**EVERYTHING, "VaultSourceAccounts": ",".join(accounts), "VaultReaderRoleArns": ",".join(roles)}


def test_a_vault_of_as_many_sources_as_promised_fits_into_iam():
    resources = expanded(vault(MOST_SOURCES))
    assert [finding for owner in owners(resources) for finding in findings(owner)] == []
    assert f"{MOST_SOURCES} source accounts" in (ROOT / "docs/guide/migrate.md").read_text()


def taken(name: str, value: str) -> bool:
    """Whether CloudFormation takes this value of a parameter."""
    parameter = read_template(TEMPLATE.read_text())["Parameters"][name]
    assert parameter["Type"] == "String", "CloudFormation applies the pattern to each item of a list"
    fits = len(value) <= parameter.get("MaxLength", len(value))
    return fits and re.search(parameter["AllowedPattern"], value) is not None


@pytest.mark.parametrize("name", ["VaultSourceAccounts", "VaultReaderRoleArns"])
def test_a_vault_of_more_sources_than_fit_is_refused_at_deployment_with_a_sentence(name):
    assert taken(name, "")
    assert taken(name, vault(1)[name])
    assert taken(name, vault(MOST_SOURCES)[name])
    assert not taken(name, vault(MOST_SOURCES + 1)[name])
    assert not taken(name, vault(2)[name].replace(",", ", ")), "IAM would get the blank"
    parameter = read_template(TEMPLATE.read_text())["Parameters"][name]
    assert re.search("at most (20|1540) ", parameter["ConstraintDescription"])


def variables(parameters: dict[str, str], **place: str) -> dict[str, dict[str, Any]]:
    """The environment of each function of a deployment."""
    return {
        name: item["Properties"]["Environment"]["Variables"]
        for name, item in expanded(parameters, **place).items()
        if item["Type"] == "AWS::Lambda::Function"
    }


def longest(parameter: dict[str, Any]) -> str:
    """A value as long as CloudFormation takes one. Raises ValueError if nothing bounds it."""
    if "AllowedValues" in parameter:
        return max(map(str, parameter["AllowedValues"]), key=len)
    if parameter["Type"] == "Number":
        return str(parameter["MaxValue"])
    pattern = parameter.get("AllowedPattern", ".*")
    most = min(parameter.get("MaxLength", MOST_ENVIRONMENT), sre_parse.parse(pattern).getwidth()[1])
    if parameter["Type"] != "String" or most >= MOST_ENVIRONMENT:
        raise ValueError("expected a String with a MaxLength, or with a pattern that bounds it")
    return "x" * most


def test_no_values_that_the_template_takes_are_too_long_for_lambda_together():
    parameters = dict(EVERYTHING)
    unbounded = {}
    for name, parameter in read_template(TEMPLATE.read_text())["Parameters"].items():
        try:
            parameters[name] = longest(parameter)
        except ValueError as problem:
            unbounded[name] = str(problem)
    found = variables(parameters)
    assert unbounded.keys() == {"NotificationEmail"}, unbounded
    assert not any(parameters["NotificationEmail"] in item.values() for item in found.values())
    sizes = {name: sum(len(key) + len(str(value)) for key, value in item.items()) for name, item in found.items()}
    assert {name: size for name, size in sizes.items() if size + NAMES_OF_AWS > MOST_ENVIRONMENT} == {}, (
        "shorten a MaxLength or AllowedPattern, or give a variable only to the functions that read it"
    )


@pytest.mark.parametrize(
    ("name", "fits", "too_many"),
    [
        ("TrustedAmiOwners", ["111122223333"] * 10, ["111122223333"] * 11),
        ("AllowedImages", ["ami-0123456789abcdef0"] * 10, ["ami-0123456789abcdef0"] * 11),
        ("TrustedProductCodes", ["a" * 25] * 4, ["a" * 25] * 5),
        ("TrustedWatermarks", ["111122223333:gold"] * 7, ["111122223333:gold"] * 8),
        ("TrustedSnapshotOwners", ["111122223333"] * 10, ["111122223333"] * 11),
        ("CopyToRegions", ["ap-southeast-2"] * 3, ["ap-southeast-2"] * 4),
        ("CopyKmsKeyArns", [KEY] * 3, [KEY] * 4),
        ("RestoreFromRegions", ["us-gov-west-1"] * 4, ["us-gov-west-1"] * 5),
    ],
)
def test_a_list_that_is_too_long_is_refused_at_deployment_with_a_sentence(name, fits, too_many):
    assert taken(name, "")
    assert taken(name, ",".join(fits))
    assert not taken(name, ",".join(too_many))
    parameter = read_template(TEMPLATE.read_text())["Parameters"][name]
    assert re.search("at most|one KMS key for each", parameter["ConstraintDescription"])


@pytest.mark.parametrize(
    ("partition", "asked", "trusted"),
    [
        ("aws", "055430919509", "055430919509"),
        ("aws-us-gov", "055430919509", ""),
        ("aws-cn", "055430919509", ""),
        ("aws-cn", "111122223333,amazon", "111122223333,amazon"),
    ],
)
def test_whom_the_default_trusts_is_of_the_partition(partition, asked, trusted):
    assert read_template(TEMPLATE.read_text())["Parameters"]["TrustedAmiOwners"]["Default"] == "055430919509"
    found = variables({**EVERYTHING, "TrustedAmiOwners": asked}, partition=partition)
    for function in ("CheckAmiOwnerFunction", "ConfirmSnapshotsFunction", "RestoreVolumeFunction"):
        assert found[function]["LIFEBOAT_TRUSTED_OWNERS"] == trusted


def test_no_partition_is_fixed():
    found = re.findall(r"arn:aws(?!\[)[a-z-]*:", TEMPLATE.read_text())
    for file in [*(ROOT / "layers/lifeboat/python/lifeboat").rglob("*.py"), *(ROOT / "functions").rglob("*.py")]:
        found += re.findall(r"arn:aws(?!\[)[a-z-]*:", file.read_text())
    assert found == []


@pytest.mark.parametrize(
    ("partition", "region", "suffix"),
    [("aws-us-gov", "us-gov-west-1", "amazonaws.com"), ("aws-cn", "cn-north-1", "amazonaws.com.cn")],
)
def test_every_arn_of_a_deployment_is_of_its_partition(partition, region, suffix):
    parameters = {name: value.replace("arn:aws:", f"arn:{partition}:") for name, value in EVERYTHING.items()}
    resources = expanded(parameters, region=region, partition=partition, suffix=suffix)
    # Managed policies of AWS that the tests' transform knows, not policies that SAM makes.
    arns = re.findall(r"arn:aws[a-z-]*:(?!iam::aws:)", json.dumps(resources))
    assert set(arns) == {f"arn:{partition}:"}
