"""`make acceptance` against the local AWS: all checks, nothing left, no differences; and untruths are named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import pytest

from acceptance.state import STACK_NAME
from tests.acceptance.conftest import Account, At


def each(*points: tuple[str, str]) -> At:
    """The first of these calls: operation, and `before` or `after` AWS answers."""
    return lambda operation, when: (operation, when) in points


def assert_nothing_private(text: str, ids: Iterable[str]) -> None:
    assert [one for one in ids if one in text] == []
    assert re.findall(r"(?<![\w.-])\d{12}(?![\w.-])", text) == []


def test_it_holds_and_leaves_nothing_though_it_is_interrupted(account: Account) -> None:
    before = account.contents()
    assert account.accept(interrupted=each(("RunInstances", "after"))) == 1, "an instance whose id was never kept"
    assert "make acceptance-clean" in account.printed
    assert account.accept(interrupted=each(("CreateSnapshot", "after"))) == 1, "the restore has ended"
    assert account.accept() == 0, account.printed
    assert account.differences() == []
    assert account.report["ok"]
    assert account.contents() == before
    assert account.accept(clean_only=True) == 0, "there is nothing to clean"
    observed = (account.folder / "observed.jsonl").read_text()
    ids = set(re.findall(r"(?:vol|snap|i|ami)-0[0-9a-f]{16}", observed))
    assert len(ids) > 10
    for name in ("report.json", "report.md"):
        assert_nothing_private((account.folder / name).read_text(), ids)


def test_it_names_exactly_what_is_untrue(account: Account) -> None:
    before, control = account.contents(), account.aws.control
    control.event_fault("alter", detail_type="EBS Volume Notification", changes={"cause": "an untruth"})
    control.set_delays(stop=0)
    control.fault("DeleteSnapshot", code="InvalidSnapshot.Untrue")
    assert account.accept(interrupted=each(("TerminateInstances", "after"))) == 1
    assert account.accept(clean_only=True) == 0, account.printed
    assert account.contents() == before
    assert account.differences() == [
        ("error code", "ec2:DeleteSnapshot", "InvalidSnapshot.Untrue", "InvalidSnapshot.InUse"),
        ("state", "i target: stopping", "not seen", "seen for 20 s or more"),
        ("event field", "createVolume available: detail.cause", "a sentence", '""'),
    ]


def test_what_an_interrupted_run_has_made_is_deleted(account: Account) -> None:
    before = account.contents()
    assert account.accept(interrupted=each(("StartSnapshot", "after"))) == 1, "a snapshot whose id was never kept"
    assert account.contents() > before
    assert account.accept(clean_only=True) == 0, account.printed
    assert account.contents() == before


@pytest.mark.parametrize("answer", ["", "n", "no"])
def test_without_a_yes_nothing_is_made(account: Account, answer: str) -> None:
    before = account.contents()
    assert account.accept(yes=False, ask=lambda _: answer) == 2
    assert account.contents() == before
    assert re.search(r"costs at most \$0\.\d\d", account.printed)
    assert "111122223333, region eu-west-1" in account.printed


def test_an_account_in_use_is_refused(account: Account) -> None:
    ec2, cloudformation = account.aws.client("ec2"), account.aws.client("cloudformation")
    template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    cloudformation.create_stack(StackName=STACK_NAME, TemplateBody=json.dumps(template))
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    ec2.create_tags(Resources=[made], Tags=[{"Key": "lifeboat:backup", "Value": "true"}])
    account.aws.control.settle()
    assert account.accept() == 2
    assert f"1 instances have the tag lifeboat:backup=true, such as {made}" in account.printed
    assert f"the stack {STACK_NAME} is there" in account.printed
    cloudformation.delete_stack(StackName=STACK_NAME)
    ec2.terminate_instances(InstanceIds=[made])
    account.aws.control.settle()
