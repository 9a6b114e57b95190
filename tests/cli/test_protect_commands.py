"""backup, prune, adopt, verify, drill, hold and consent against a stub of Lambda and EC2."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from lifeboat_cli.functions import Functions
from tests.cli.stub import Stub

INSTANCE = "i-0587d76082883a678"
POINT = f"rp-20310303T000047Z-{INSTANCE}"
SNAPSHOT = "snap-01a860cc47ff9db20"
DATA = "vol-0f1a1455ed157893a"
ENTRY = {"recovery_point": POINT, "taken_at": "2031-03-03T00:00:47Z", "gib": 20, "reasons": ["no rule keeps it"]}
LEFT = {"instance_id": INSTANCE, "reason": "it is not selected"}
BEGUN = {"begun": [], "already": [], "skipped": [], "failed": []}
DONE = {"kept_count": 1, "deleted": [], "refused": [], "notices": [], "delete_count": 0}
ADOPTION = {"confirm": False, "adopt": [], "refused": [], "next": "Nothing has been changed."}
ADOPTED = {"snapshot": SNAPSHOT, "taken_at": "2031-03-03T00:00:47Z", "recovery_point": POINT}

type Recorded = Callable[[str], dict[str, Any]]


@pytest.mark.parametrize(
    ("function", "arguments", "answer", "code", "words"),
    [
        ("take-snapshots", ("backup", INSTANCE), {**BEGUN, "begun": [ENTRY]}, 0, f"{POINT} has begun"),
        ("take-snapshots", ("backup", INSTANCE), {**BEGUN, "already": [ENTRY]}, 0, "there already"),
        ("take-snapshots", ("backup", INSTANCE), {**BEGUN, "skipped": [LEFT]}, 1, "was skipped: it is not"),
        ("take-snapshots", ("backup", "--all"), {**BEGUN, "skipped": [LEFT]}, 0, "was skipped"),
        ("take-snapshots", ("backup", "--all"), {**BEGUN, "failed": [LEFT]}, 1, "FAILED"),
        ("take-snapshots", ("backup", "--all"), {**BEGUN, "left": [INSTANCE]}, 1, "Not tried"),
        ("take-snapshots", ("backup", "--all"), {"slot": "s", "run": "r", "instances": 30}, 0, "The large run r"),
        ("take-snapshots", ("backup", "--all"), {"request": "r", "error": "it was cut off", "next": ""}, 1, ""),
        ("prune-snapshots", ("prune", "--yes"), DONE, 0, "deleted 0"),
        ("prune-snapshots", ("prune", "--yes"), {**DONE, "refused": [{**ENTRY, "cause": "in use"}]}, 1, "in use"),
        ("verify-snapshots", ("verify", POINT), {"proven": [ENTRY]}, 0, "is proven"),
        ("verify-snapshots", ("verify", POINT), {"failed": [{**ENTRY, "reason": "zeros"}]}, 1, "is failed: zeros"),
        ("verify-snapshots", ("verify", POINT), {"waits_for": "the next run"}, 3, "It waits for the next run."),
        ("drill-restores", ("drill",), {"opened": ["d"], "drills": [], "waiting": 1}, 0, "1 drills were opened"),
        ("prune-snapshots", ("adopt", "--volume", DATA, "--plan"), ADOPTION, 0, "0 snapshots can be adopted."),
        ("prune-snapshots", ("adopt", "--tag", "a=b=c"), ADOPTION, 1, "Nothing has been changed."),
    ],
)
def test_the_outcome_is_in_the_words_and_in_the_exit_code(  # noqa: PLR0917 - a table
    stub: Stub, function: str, arguments: tuple[str, ...], answer: Mapping[str, Any], code: int, words: str
) -> None:
    stub.answers[f"lifeboat-{function}"] = answer
    found, out, error = stub.run(*arguments)
    assert (found, words in out + error) == (code, True), out + error
    assert "Traceback" not in out + error
    assert json.loads(stub.run(*arguments, "--json")[1]) == answer


@pytest.mark.parametrize(
    "arguments",
    [("backup",), ("backup", "--all", INSTANCE), ("adopt",), ("adopt", "--tag", "x"), ("consent",), ("hold",)],
)
def test_a_wrong_command_line_sends_nothing(stub: Stub, arguments: tuple[str, ...]) -> None:
    assert (stub.run(*arguments)[0], stub.asked) == (2, [])


def test_what_deletes_or_adopts_asks_first(stub: Stub, recorded: Recorded) -> None:
    stub.answers["lifeboat-prune-snapshots"] = [
        {**recorded("prune-plan"), "delete": [ENTRY]},
        {**ADOPTION, "adopt": [{**ADOPTED, "then": "kept"}]},
    ]
    code, out, _ = stub.run("prune")
    assert (code, f"{POINT}: no rule keeps it" in out) == (3, True)
    code, out, _ = stub.run("adopt", "--volume", DATA)
    assert (code, f"{SNAPSHOT} of 2031-03-03T00:00:47Z as {POINT}; retention: kept" in out) == (3, True)
    assert [event.get("dry_run", event.get("confirm")) for _, event in stub.asked] == [True, None]


def test_without_anything_to_delete_no_question_is_asked(stub: Stub, recorded: Recorded) -> None:
    stub.answers["lifeboat-prune-snapshots"] = [recorded("prune-plan")]
    code, out, _ = stub.run("prune")
    assert (code, "deletes 0." in out) == (0, True)


def test_an_adoption_is_confirmed_with_the_id_of_its_preview(stub: Stub) -> None:
    done = {"confirm": True, "adopted": [ADOPTED], "refused": [], "notices": []}
    stub.answers["lifeboat-prune-snapshots"] = [{**ADOPTION, "adopt": [ADOPTED]}, done]
    assert stub.run("adopt", "--tag", "Name=a=b", "--yes")[0] == 0
    [(_, preview), (_, confirmed)] = stub.asked
    assert preview["adopt"] == {"tag": {"key": "Name", "value": "a=b"}}
    assert confirmed == {**preview, "confirm": True}


def test_a_long_run_is_asked_for_until_it_is_done(stub: Stub) -> None:
    waits = {"request": "backup-1", "requested_at": "t", "under_way": True, "next": "send it"}
    stub.answers["lifeboat-take-snapshots"] = [waits, waits, {**BEGUN, "begun": [ENTRY], "slot": "s"}]
    assert stub.run("backup", INSTANCE, "--request-id", "mine")[0] == 0
    first, *others = [event for _, event in stub.asked]
    assert first == {"instance_ids": [INSTANCE], "request_id": "mine"}
    assert others == [{"request": "backup-1"}] * 2


def test_an_answer_that_is_lost_says_how_to_send_the_same_request(stub: Stub) -> None:
    stub.status = 503
    code, _, error = stub.run("backup", INSTANCE, "--request-id", "mine")
    assert (code, error.rstrip().endswith("add --request-id mine")) == (3, True)
    assert [event["request_id"] for _, event in stub.asked] == ["mine"] * 3


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client = botocore.session.Session().create_client(
        "ec2", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    monkeypatch.setattr(Functions, "client", lambda *_: client)
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("arguments", "call", "tag"),
    [
        (("hold", POINT, "--reason", "INC-17"), "create_tags", {"Key": "lifeboat:hold", "Value": "INC-17"}),
        (("unhold", POINT), "delete_tags", {"Key": "lifeboat:hold"}),
    ],
)
def test_a_hold_is_a_tag_on_every_snapshot(  # noqa: PLR0917 - a table
    stub: Stub, recorded: Recorded, ec2: Stubber, arguments: tuple[str, ...], call: str, tag: dict[str, str]
) -> None:
    stub.answers["lifeboat-show-status"] = recorded("points")
    ec2.add_response(call, {}, {"Resources": [SNAPSHOT], "Tags": [tag]})
    code, out, error = stub.run(*arguments)
    assert (code, error) == (0, "")
    assert '"platform"' in out
    assert stub.run("hold", "rp-20310303T000047Z-i-00000000")[0] == 1


def test_without_the_right_to_tag_ec2_s_words_are_shown(stub: Stub, recorded: Recorded, ec2: Stubber) -> None:
    stub.answers["lifeboat-show-status"] = recorded("points")
    ec2.add_client_error("create_tags", "UnauthorizedOperation", "You are not authorized.", http_status_code=403)
    code, _, error = stub.run("hold", POINT)
    assert (code, "EC2 in eu-west-1: " in error, "You are not authorized." in error) == (3, True, True)


@pytest.mark.parametrize(
    ("volumes", "arguments", "code", "call"),
    [
        ((DATA,), ("--yes",), 0, "create_tags"),
        ((DATA,), ("--yes", "--remove"), 0, "delete_tags"),
        ((DATA,), (), 3, None),
        ((DATA, "vol-00000001"), ("--yes",), 2, None),
        ((DATA, "vol-00000001"), ("--yes", "--volume", DATA), 0, "create_tags"),
        ((DATA,), ("--yes", "--volume", "vol-00000002"), 2, None),
    ],
    ids=["yes", "remove", "not asked", "several volumes", "one of several", "the root"],
)
def test_consent_names_the_instance_and_what_may_be_displaced(  # noqa: PLR0917 - a table
    stub: Stub, ec2: Stubber, volumes: tuple[str, ...], arguments: tuple[str, ...], code: int, call: str | None
) -> None:
    disks = {"/dev/xvda": "vol-00000002"} | {f"/dev/sd{index}": item for index, item in enumerate(volumes)}
    found = {
        "InstanceId": INSTANCE,
        "RootDeviceName": "/dev/xvda",
        "State": {"Name": "running"},
        "LaunchTime": "2031-03-03T00:00:00Z",
        "Tags": [{"Key": "Name", "Value": "\x1b[2J"}],
        "BlockDeviceMappings": [{"DeviceName": name, "Ebs": {"VolumeId": item}} for name, item in disks.items()],
    }
    ec2.add_response("describe_instances", {"Reservations": [{"Instances": [found]}]}, {"InstanceIds": [INSTANCE]})
    tag = {"Key": "lifeboat:restore-target"} | ({"Value": "true"} if call == "create_tags" else {})
    if call:
        ec2.add_response(call, {}, {"Resources": [INSTANCE, DATA], "Tags": [tag]})
    ended, out, _ = stub.run("consent", INSTANCE, *arguments)
    assert ended == code
    assert "\x1b" not in out


def described(*ids: str, state: str = "running", disks: tuple[str, ...] = ("/dev/xvda", "/dev/sdh")) -> dict[str, Any]:
    mappings = [{"DeviceName": name, "Ebs": {"VolumeId": f"vol-0000000{at}"}} for at, name in enumerate(disks)]
    instances = [
        {
            "InstanceId": item,
            "RootDeviceName": "/dev/xvda",
            "State": {"Name": state},
            "Tags": [{"Key": "Name", "Value": "\x1b[2Jplatform"}],
            "BlockDeviceMappings": mappings,
        }
        for item in ids
    ]
    return {"Reservations": [{"Instances": instances}]}


BY_NAME = {"Filters": [{"Name": "tag:Name", "Values": ["Cado\\*"]}]}
SELECTED = {"Resources": [INSTANCE], "Tags": [{"Key": "lifeboat:backup", "Value": "true"}]}


@pytest.mark.parametrize(
    ("arguments", "answer", "asked", "call", "code", "said"),
    [
        (("Cado*", "--yes"), described(INSTANCE), BY_NAME, ("create_tags", SELECTED), 0, "was written to"),
        ((INSTANCE, "--yes"), described(INSTANCE), {"InstanceIds": [INSTANCE]}, ("create_tags", SELECTED), 0, "vol-"),
        (
            ("Cado*", "--yes", "--remove"),
            described(INSTANCE),
            BY_NAME,
            ("delete_tags", SELECTED),
            0,
            "was deleted from",
        ),
        (("Cado*",), described(INSTANCE), BY_NAME, None, 3, "add --yes"),
        (("Cado*", "--yes"), described(INSTANCE, "i-00000001"), BY_NAME, None, 2, "give the id of one, i-00000001"),
        (("Cado*", "--yes"), described(INSTANCE, state="terminated"), BY_NAME, None, 1, "no instance has the Name"),
        (("Cado*", "--yes"), described(INSTANCE, disks=("/dev/xvda",)), BY_NAME, None, 1, "has no data volume"),
        (("Cado*", "--tag", "Name=Cado"), None, None, None, 2, "selects instances by their Name"),
        (("Cado*", "--tag", "backup"), None, None, None, 2, "expected KEY=VALUE"),
    ],
    ids=["name", "id", "remove", "not asked", "two of a Name", "gone", "no data", "selected by Name", "no value"],
)
def test_protect_finds_the_one_instance_and_tags_it(  # noqa: PLR0917 - a table
    stub: Stub,
    ec2: Stubber,
    arguments: tuple[str, ...],
    answer: dict[str, Any] | None,
    asked: dict[str, Any] | None,
    call: tuple[str, dict[str, Any]] | None,
    code: int,
    said: str,
) -> None:
    if answer:
        ec2.add_response("describe_instances", answer, asked)
    if call:
        ec2.add_response(call[0], {}, call[1])
    if "--tag" not in arguments:
        arguments = (*arguments, "--tag", "lifeboat:backup=true")
    ended, out, error = stub.run("protect", *arguments)
    assert (ended, said in out + error) == (code, True), out + error
    assert "\x1b" not in out + error
    ec2.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("arguments", "value", "call", "code", "said"),
    [
        ((), None, "create_tags", 0, "backup=nightly was written to"),
        ((), "weekly", "create_tags", 0, 'backup with another value, "weekly", which "nightly" replaces'),
        (("--remove",), "nightly", "delete_tags", 0, "backup=nightly was deleted from"),
        (("--remove",), "weekly", None, 1, 'backup with another value, "weekly": nothing was done'),
    ],
    ids=["protect", "another value", "remove", "remove another value"],
)
def test_protect_writes_the_tag_that_the_stack_selects_by_and_deletes_no_other(  # noqa: PLR0917 - a table
    stub: Stub,
    ec2: Stubber,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    value: str | None,
    call: str | None,
    code: int,
    said: str,
) -> None:
    found = described(INSTANCE)
    tags = found["Reservations"][0]["Instances"][0]["Tags"]
    tags += [{"Key": "backup", "Value": value}] if value is not None else []
    ec2.add_response("describe_instances", found, {"InstanceIds": [INSTANCE]})
    if call:
        tag = {"Key": "backup", "Value": "nightly"}
        ec2.add_response(call, {}, {"Resources": [INSTANCE], "Tags": [tag]})
    stacks = botocore.session.Session().create_client("cloudformation", region_name="eu-west-1")
    of_ec2, parameters = Functions.client, {"SelectTagKey": "backup", "SelectTagValue": "nightly"}
    monkeypatch.setattr(
        Functions, "client", lambda self, name: stacks if name == "cloudformation" else of_ec2(self, name)
    )
    written = [{"ParameterKey": key, "ParameterValue": item} for key, item in parameters.items()]
    stack = {"StackName": "lifeboat", "CreationTime": 0, "StackStatus": "CREATE_COMPLETE", "Parameters": written}
    with Stubber(stacks) as answers:
        answers.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": "lifeboat"})
        ended, out, error = stub.run("protect", INSTANCE, "--yes", *arguments)
    assert (ended, said in out + error) == (code, True), out + error
    ec2.assert_no_pending_responses()
