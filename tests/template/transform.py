"""Prints template.yaml as CloudFormation gets to see it, after SAM's transform. Runs in SAM CLI's own environment.

The first argument, if there is one, is a JSON object of parameters that are not to have their defaults.
"""

import json
import sys
from pathlib import Path

from samcli.yamlhelper import yaml_parse  # type: ignore[import-not-found]
from samtranslator.translator.transform import transform  # type: ignore[import-not-found]


class Policies:
    """The AWS-managed policies that SAM names, which it would otherwise ask AWS for."""

    def load(self) -> dict[str, str]:
        return {
            name: f"arn:aws:iam::aws:policy/{name}"
            for name in ("service-role/AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess")
        }


def main() -> None:
    template = yaml_parse((Path(__file__).parents[2] / "template.yaml").read_text())
    for resource in template["Resources"].values():
        for place in ("CodeUri", "ContentUri"):
            if place in resource.get("Properties", {}):
                resource["Properties"][place] = "s3://bucket/key"
    parameters = {name: item["Default"] for name, item in template["Parameters"].items()}
    parameters |= json.loads(sys.argv[1]) if sys.argv[1:] else {}
    json.dump(transform(template, parameters, Policies()), sys.stdout)


if __name__ == "__main__":
    main()
