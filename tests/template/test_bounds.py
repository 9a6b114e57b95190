"""What a large or a foreign deployment may not run into: Lambda's environment, IAM's sizes, another partition."""

from __future__ import annotations

import json
import re

import pytest

from tools.docs_template import ROOT, TEMPLATE, read_template
from tools.expanded_template import EVERYTHING, expanded
from tools.policy_reference import findings, owners

MOST_ENVIRONMENT = 4096
"""Bytes of the names and values of a function's variables (https://docs.aws.amazon.com/lambda/latest/dg/limits.html)."""

MOST_SOURCES = 30
"""What docs/guide/migrate.md promises a vault."""

NAMES_OF_AWS = 250
"""Bytes that the real ARNs of topic and queue, with their random ends, may be longer than the ones here."""


def vault(sources: int) -> dict[str, str]:
    accounts = [str(222233330000 + number) for number in range(sources)]
    roles = [f"arn:aws-us-gov:iam::{account}:role/lifeboat-VaultReaderRole-ABCDEFGHIJKL" for account in accounts]
    return {**EVERYTHING, "VaultSourceAccounts": ",".join(accounts), "VaultReaderRoleArns": ",".join(roles)}


def test_a_vault_of_as_many_sources_as_promised_fits_into_lambda_and_iam():
    resources = expanded(vault(MOST_SOURCES))
    for name, item in resources.items():
        if item["Type"] == "AWS::Lambda::Function":
            variables = item["Properties"]["Environment"]["Variables"]
            size = sum(len(key) + len(str(value)) for key, value in variables.items())
            assert size + NAMES_OF_AWS <= MOST_ENVIRONMENT, name
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
    assert re.search("at most (30|2300) ", parameter["ConstraintDescription"])


def test_roles_as_long_as_the_template_takes_fit_into_lambda():
    longest = read_template(TEMPLATE.read_text())["Parameters"]["VaultReaderRoleArns"]["MaxLength"]
    for item in expanded({**vault(MOST_SOURCES), "VaultReaderRoleArns": "r" * longest}).values():
        if item["Type"] == "AWS::Lambda::Function":
            variables = item["Properties"]["Environment"]["Variables"]
            assert (
                sum(len(key) + len(str(value)) for key, value in variables.items()) + NAMES_OF_AWS <= MOST_ENVIRONMENT
            )


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
    for item in expanded({**EVERYTHING, "TrustedAmiOwners": asked}, partition=partition).values():
        if item["Type"] == "AWS::Lambda::Function":
            assert item["Properties"]["Environment"]["Variables"]["LIFEBOAT_TRUSTED_OWNERS"] == trusted


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
