"""The role with which a person views the dashboard: it invokes the functions of the page, and reads the dashboard.

CloudWatch calls the functions of a widget, and those of its actions, with the rights of the person who views it
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard.html).
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import boto3

from local.session import HOME_ACCOUNT, REGION, LocalAws


def viewer_policy(functions: Iterable[str], dashboards: Iterable[str], account: str = HOME_ACCOUNT) -> dict[str, Any]:
    """What a viewer may do.

    Args:
        functions: the ARNs of the functions that the page shows and calls.
        dashboards: the names of the dashboards.
        account: of the dashboards.
    """
    names = [f"arn:aws:cloudwatch::{account}:dashboard/{name}" for name in dashboards]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": sorted(functions)},
            {"Effect": "Allow", "Action": "cloudwatch:GetDashboard", "Resource": names},
        ],
    }


class Viewer:
    """A person with the viewer's role. Each client has credentials of its own, because those of a role expire.

    Args:
        aws: the local AWS, whose root user makes the role.
        policy: what the role may do, as `viewer_policy` has it.
        name: of the role.
    """

    def __init__(self, aws: LocalAws, policy: Mapping[str, Any], name: str) -> None:
        self._aws = aws
        self._name = name
        iam = aws.client("iam")
        trust = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{HOME_ACCOUNT}:root"},
            "Action": "sts:AssumeRole",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        self._role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=json.dumps(policy))

    def client(self, service: str, region: str = REGION) -> Any:
        """A client of a service with the role's rights alone."""
        keys = self._aws.client("sts").assume_role(RoleArn=self._role, RoleSessionName=self._name)["Credentials"]
        session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region)
        return session.client(service, endpoint_url=self._aws.endpoint)  # type: ignore[call-overload]
