"""What a large or a foreign deployment may not run into: Lambda's environment, IAM's sizes, another partition."""

from __future__ import annotations

import json
import re

import pytest

from tools.docs_template import ROOT, TEMPLATE
from tools.expanded_template import EVERYTHING, expanded
from tools.policy_reference import findings, owners

MOST_ENVIRONMENT = 4096
"""Bytes of the names and values of a function's variables (https://docs.aws.amazon.com/lambda/latest/dg/limits.html)."""

MOST_SOURCES = 30
"""What docs/migrate.md promises a vault."""

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
    assert f"{MOST_SOURCES} source accounts" in (ROOT / "docs/migrate.md").read_text()


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
    # AWS's own managed policies, which the transform of the tests is told of, not SAM's own.
    arns = re.findall(r"arn:aws[a-z-]*:(?!iam::aws:)", json.dumps(resources))
    assert set(arns) == {f"arn:{partition}:"}
