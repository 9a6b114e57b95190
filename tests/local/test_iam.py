"""IAM is enforced on every resource that EC2 checks, and between services."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from local import stack
from local.control import Control
from local.session import LocalAws
from tests.local.conftest import Deploy, Machine, launch, new_snapshot, new_volume, tagged, unique

SOURCE = """
import boto3, botocore
def handler(event, context):
    ec2 = boto3.client("ec2")
    answers = []
    for name, arguments in event["calls"]:
        try:
            getattr(ec2, name)(**arguments)
            answers.append("OK")
        except botocore.exceptions.ClientError as error:
            answers.append(error.response["Error"]["Code"] + " " + error.response["Error"]["Message"])
    return answers
"""
EU = "arn:aws:ec2:eu-west-1:111122223333"
EU_PUBLIC = "arn:aws:ec2:eu-west-1:"
Calls = Sequence[tuple[str, Mapping[str, Any]]]


def answers(aws: LocalAws, deploy: Deploy, statements: Sequence[Mapping[str, Any]], calls: Calls) -> list[str]:
    """What a function with these rights is answered: `OK`, or the code and the refused `action on resource`."""
    function = deploy(SOURCE, statements)
    given = stack.invoke(aws, function.name, {"calls": calls}).payload
    return [short(answer) for answer in given]


def short(answer: str) -> str:
    if " is not authorized to perform: " not in answer:
        return answer.split(" ", 1)[0]
    refused = answer.split(" is not authorized to perform: ", 1)[1]
    action, _, rest = refused.partition(" on resource: ")
    return f"{action} on {rest.split(' ', 1)[0]}" if rest else action.split(" ", 1)[0]


def test_rights_follow_tags(aws: LocalAws, ec2: Any, deploy: Deploy) -> None:
    ours = new_volume(aws, ec2, TagSpecifications=tagged("volume", Backup="yes"))
    other = new_volume(aws, ec2)
    mine = new_snapshot(aws, ec2, ours, TagSpecifications=tagged("snapshot", ManagedBy="us"))
    foreign = new_snapshot(aws, ec2, other)
    statements = [
        {"Action": "ec2:DescribeVolumes", "Resource": "*"},
        {
            "Action": "ec2:CreateSnapshot",
            "Resource": "arn:aws:ec2:eu-west-1:*:volume/*",
            "Condition": {"StringEquals": {"aws:ResourceTag/Backup": "yes"}},
        },
        {
            "Action": "ec2:CreateSnapshot",
            "Resource": f"{EU_PUBLIC}:snapshot/*",
            "Condition": {"StringEquals": {"aws:RequestTag/ManagedBy": "us"}},
        },
        {
            "Action": "ec2:CreateTags",
            "Resource": f"{EU_PUBLIC}:snapshot/*",
            "Condition": {"StringEquals": {"ec2:CreateAction": "CreateSnapshot"}},
        },
        {
            "Action": "ec2:DeleteSnapshot",
            "Resource": f"{EU_PUBLIC}:snapshot/*",
            "Condition": {"StringEquals": {"aws:ResourceTag/ManagedBy": "us"}},
        },
    ]
    specification = tagged("snapshot", ManagedBy="us")
    calls: Calls = [
        ("describe_volumes", {}),
        ("describe_snapshots", {}),
        ("create_snapshot", {"VolumeId": ours, "TagSpecifications": specification}),
        ("create_snapshot", {"VolumeId": ours}),
        ("create_snapshot", {"VolumeId": other, "TagSpecifications": specification}),
        ("delete_snapshot", {"SnapshotId": mine}),
        ("delete_snapshot", {"SnapshotId": foreign}),
        ("create_tags", {"Resources": [foreign], "Tags": [{"Key": "a", "Value": "b"}]}),
        ("delete_volume", {"VolumeId": ours}),
    ]
    assert answers(aws, deploy, statements, calls) == [
        "OK",
        "ec2:DescribeSnapshots",
        "OK",
        f"ec2:CreateSnapshot on {EU_PUBLIC}:snapshot/*",
        f"ec2:CreateSnapshot on {EU}:volume/{other}",
        "OK",
        f"ec2:DeleteSnapshot on {EU_PUBLIC}:snapshot/{foreign}",
        f"ec2:CreateTags on {EU_PUBLIC}:snapshot/{foreign}",
        f"ec2:DeleteVolume on {EU}:volume/{ours}",
    ]


def create_snapshots_rights(**replaced: Any) -> list[dict[str, Any]]:
    rights = {
        "instance": {
            "Action": "ec2:CreateSnapshots",
            "Resource": f"{EU}:instance/*",
            "Condition": {"StringEquals": {"aws:ResourceTag/Name": "CadoResponse"}},
        },
        "volume": {
            "Action": "ec2:CreateSnapshots",
            "Resource": f"{EU}:volume/*",
            "Condition": {"StringEquals": {"aws:ResourceTag/Backup": "daily"}},
        },
        "snapshot": {
            "Action": "ec2:CreateSnapshots",
            "Resource": f"{EU_PUBLIC}:snapshot/*",
            "Condition": {"StringEquals": {"aws:RequestTag/stack": "lifeboat"}},
        },
        "tags": {
            "Action": "ec2:CreateTags",
            "Resource": f"{EU_PUBLIC}:snapshot/*",
            "Condition": {"StringEquals": {"ec2:CreateAction": "CreateSnapshots"}},
        },
    } | replaced
    return [statement for statement in rights.values() if statement]


def test_a_policy_that_is_put_anew_counts_at_the_next_call(aws: LocalAws, deploy: Deploy) -> None:
    function = deploy(SOURCE, [{"Action": "ec2:DescribeVolumes", "Resource": "*"}])
    configuration = aws.client("lambda").get_function_configuration(FunctionName=function.name)
    role = configuration["Role"].rsplit("/", 1)[-1]
    iam = aws.client("iam")
    found = []
    for effect in ("Allow", "Deny", "Allow"):
        statement = {"Effect": effect, "Action": "ec2:DescribeVolumes", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName=role, PolicyName="put-anew", PolicyDocument=document)
        [answer] = stack.invoke(aws, function.name, {"calls": [("describe_volumes", {})]}).payload
        found.append(short(answer))
    assert found == ["OK", "ec2:DescribeVolumes", "OK"]


def test_create_snapshots_needs_the_instance_each_volume_and_the_snapshot(
    aws: LocalAws, ec2: Any, deploy: Deploy, machine: Machine
) -> None:
    call: Calls = [
        (
            "create_snapshots",
            {
                "InstanceSpecification": {"InstanceId": machine.instance_id},
                "TagSpecifications": tagged("snapshot", stack="lifeboat"),
            },
        )
    ]
    assert answers(aws, deploy, create_snapshots_rights(), call) == ["OK"]
    untagged: Calls = [("create_snapshots", {"InstanceSpecification": {"InstanceId": machine.instance_id}})]
    assert answers(aws, deploy, create_snapshots_rights(), untagged) == [
        f"ec2:CreateSnapshots on {EU_PUBLIC}:snapshot/*"
    ]
    assert answers(aws, deploy, create_snapshots_rights(instance=None), call) == [
        f"ec2:CreateSnapshots on {EU}:instance/{machine.instance_id}"
    ]
    assert answers(aws, deploy, create_snapshots_rights(tags=None), call) == [
        f"ec2:CreateTags on {EU_PUBLIC}:snapshot/*"
    ]
    ec2.delete_tags(Resources=[machine.root_id], Tags=[{"Key": "Backup"}])
    assert answers(aws, deploy, create_snapshots_rights(), call) == [
        f"ec2:CreateSnapshots on {EU}:volume/{machine.root_id}"
    ]
    without_root: Calls = [
        (
            "create_snapshots",
            {
                "InstanceSpecification": {"InstanceId": machine.instance_id, "ExcludeBootVolume": True},
                "TagSpecifications": tagged("snapshot", stack="lifeboat"),
            },
        )
    ]
    assert answers(aws, deploy, create_snapshots_rights(), without_root) == ["OK"]


@pytest.mark.parametrize(("create_action", "answer"), [("CreateVolume", "OK"), ("CreateSnapshot", "refused")])
def test_tagging_is_allowed_by_the_creating_action(
    aws: LocalAws, deploy: Deploy, create_action: str, answer: str
) -> None:
    rights = [
        {"Action": "ec2:CreateVolume", "Resource": f"{EU}:volume/*"},
        {
            "Action": "ec2:CreateTags",
            "Resource": f"{EU}:volume/*",
            "Condition": {"StringEquals": {"ec2:CreateAction": create_action}},
        },
    ]
    call: Calls = [
        (
            "create_volume",
            {"AvailabilityZone": "eu-west-1a", "Size": 1, "TagSpecifications": tagged("volume", a="b")},
        )
    ]
    expected = "OK" if answer == "OK" else f"ec2:CreateTags on {EU}:volume/*"
    assert answers(aws, deploy, rights, call) == [expected]


def volume_right(**condition: Any) -> list[dict[str, Any]]:
    return [
        {"Action": "ec2:CreateVolume", "Resource": f"{EU}:volume/*", "Condition": condition},
        {"Action": "ec2:CreateVolume", "Resource": f"{EU_PUBLIC}:snapshot/*"},
    ]


def test_conditions_on_a_new_volume(aws: LocalAws, ec2: Any, deploy: Deploy, volume: str) -> None:
    snapshot = new_snapshot(aws, ec2, volume)
    base = {"AvailabilityZone": "eu-west-1a", "SnapshotId": snapshot, "VolumeType": "gp3", "Encrypted": True}
    parent = f"{EU_PUBLIC}:snapshot/{snapshot}"
    for condition, other in (
        ({"Bool": {"ec2:Encrypted": "true"}}, {"Encrypted": False}),
        ({"StringEquals": {"ec2:VolumeType": "gp3"}}, {"VolumeType": "gp2"}),
        ({"StringEquals": {"ec2:AvailabilityZone": "eu-west-1a"}}, {"AvailabilityZone": "eu-west-1b"}),
        ({"ArnEquals": {"ec2:ParentSnapshot": parent}}, {"SnapshotId": None, "Size": 1}),
    ):
        changed = {k: v for k, v in (base | other).items() if v is not None}
        calls: Calls = [("create_volume", base), ("create_volume", changed)]
        assert answers(aws, deploy, volume_right(**condition), calls) == ["OK", f"ec2:CreateVolume on {EU}:volume/*"]


def test_the_source_snapshot_of_a_volume_is_checked_by_its_tags(
    aws: LocalAws, ec2: Any, deploy: Deploy, volume: str
) -> None:
    ours = new_snapshot(aws, ec2, volume, TagSpecifications=tagged("snapshot", point="1"))
    other = new_snapshot(aws, ec2, volume)
    rights = [
        {"Action": "ec2:CreateVolume", "Resource": f"{EU}:volume/*"},
        {
            "Action": "ec2:CreateVolume",
            "Resource": f"{EU_PUBLIC}:snapshot/*",
            "Condition": {"Null": {"aws:ResourceTag/point": "false"}},
        },
    ]
    calls: Calls = [
        ("create_volume", {"AvailabilityZone": "eu-west-1a", "SnapshotId": snapshot}) for snapshot in (ours, other)
    ]
    assert answers(aws, deploy, rights, calls) == ["OK", f"ec2:CreateVolume on {EU_PUBLIC}:snapshot/{other}"]


def test_both_ends_of_an_attachment(aws: LocalAws, ec2: Any, deploy: Deploy, machine: Machine, volume: str) -> None:
    rights = [
        {
            "Action": ["ec2:AttachVolume", "ec2:DetachVolume", "ec2:StopInstances"],
            "Resource": [f"{EU}:instance/*", f"{EU}:volume/*"],
            "Condition": {"StringEquals": {"aws:ResourceTag/Name": "CadoResponse"}},
        }
    ]
    other = launch(aws, ec2, TagSpecifications=[])
    ec2.create_tags(Resources=[machine.data_id], Tags=[{"Key": "Name", "Value": "CadoResponse"}])
    attach = {"VolumeId": volume, "InstanceId": machine.instance_id, "Device": "/dev/sdg"}
    calls: Calls = [
        ("attach_volume", attach),
        ("stop_instances", {"InstanceIds": [machine.instance_id]}),
        ("stop_instances", {"InstanceIds": [other.instance_id]}),
        ("detach_volume", {"VolumeId": machine.data_id, "InstanceId": other.instance_id}),
        ("detach_volume", {"VolumeId": machine.data_id}),
    ]
    assert answers(aws, deploy, rights, calls) == [
        f"ec2:AttachVolume on {EU}:volume/{volume}",
        "OK",
        f"ec2:StopInstances on {EU}:instance/{other.instance_id}",
        f"ec2:DetachVolume on {EU}:instance/{other.instance_id}",
        "OK",
    ]


def test_conditions_on_sharing_locking_and_attributes(
    aws: LocalAws, ec2: Any, deploy: Deploy, machine: Machine, volume: str
) -> None:
    snapshot = new_snapshot(aws, ec2, volume)
    rights = [
        {
            "Action": "ec2:ModifySnapshotAttribute",
            "Resource": "*",
            "Condition": {"StringEquals": {"ec2:Add/userId": "444455556666"}},
        },
        {
            "Action": "ec2:LockSnapshot",
            "Resource": f"{EU_PUBLIC}:snapshot/*",
            "Condition": {"NumericLessThanEquals": {"ec2:SnapshotLockDuration": "30"}},
        },
        {
            "Action": "ec2:ModifyInstanceAttribute",
            "Resource": "*",
            "Condition": {"StringEquals": {"ec2:Attribute": "BlockDeviceMapping"}},
        },
    ]
    share = {"SnapshotId": snapshot, "Attribute": "createVolumePermission", "OperationType": "add"}
    lock = {"SnapshotId": snapshot, "LockMode": "governance"}
    mapping = {"DeviceName": "/dev/sdh", "Ebs": {"DeleteOnTermination": False}}
    calls: Calls = [
        ("modify_snapshot_attribute", {**share, "UserIds": ["444455556666"]}),
        ("modify_snapshot_attribute", {**share, "UserIds": ["999999999999"]}),
        ("lock_snapshot", {**lock, "LockDuration": 30}),
        ("lock_snapshot", {**lock, "LockDuration": 31}),
        ("modify_instance_attribute", {"InstanceId": machine.instance_id, "BlockDeviceMappings": [mapping]}),
        ("modify_instance_attribute", {"InstanceId": machine.instance_id, "DisableApiStop": {"Value": True}}),
    ]
    found = answers(aws, deploy, rights, calls)
    assert [answer == "OK" for answer in found] == [True, False, True, False, True, False]


def test_region_and_dry_run(aws: LocalAws, deploy: Deploy, volume: str) -> None:
    rights = [
        {"Action": "ec2:Describe*", "Resource": "*", "Condition": {"StringEquals": {"ec2:Region": "us-east-1"}}},
        {"Action": "ec2:CreateSnapshot", "Resource": "*"},
    ]
    calls: Calls = [
        ("describe_volumes", {}),
        ("create_snapshot", {"VolumeId": volume, "DryRun": True}),
        ("delete_volume", {"VolumeId": volume, "DryRun": True}),
    ]
    assert answers(aws, deploy, rights, calls) == [
        "ec2:DescribeVolumes",
        "DryRunOperation",
        f"ec2:DeleteVolume on {EU}:volume/{volume}",
    ]


def test_a_key_that_the_caller_may_not_use(aws: LocalAws, ec2: Any, control: Control, deploy: Deploy) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    create: Calls = [
        ("create_volume", {"AvailabilityZone": "eu-west-1a", "Size": 1, "Encrypted": True, "KmsKeyId": key})
    ]
    grants = {
        "Action": "kms:CreateGrant",
        "Resource": key,
        "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
    }
    uses = {
        "Action": ["kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext"],
        "Resource": key,
        "Condition": {"StringEquals": {"kms:ViaService": "ec2.eu-west-1.amazonaws.com"}},
    }
    volumes = {"Action": "ec2:CreateVolume", "Resource": "*"}
    for rights, states in (([volumes], []), ([volumes, grants, uses], ["available"])):
        before = {v["VolumeId"] for v in ec2.describe_volumes()["Volumes"]}
        assert answers(aws, deploy, rights, create) == ["OK"]
        control.settle()
        made = [v for v in ec2.describe_volumes()["Volumes"] if v["VolumeId"] not in before]
        assert [v["State"] for v in made] == states


def test_other_services_are_enforced_as_well(aws: LocalAws, deploy: Deploy) -> None:
    source = """
import boto3, botocore
def handler(event, context):
    try:
        boto3.client("dynamodb").list_tables()
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
"""
    assert stack.invoke(aws, deploy(source).name, {}).payload == "AccessDeniedException"
    allowed = deploy(source, [{"Action": "dynamodb:ListTables", "Resource": "*"}])
    assert stack.invoke(aws, allowed.name, {}).payload is None


def test_a_batch_of_messages_needs_the_right_of_the_single_one(aws: LocalAws, deploy: Deploy) -> None:
    sqs, name = aws.client("sqs"), unique("queue")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = f"arn:aws:sqs:eu-west-1:111122223333:{name}"
    sqs.send_message(QueueUrl=queue, MessageBody="1")
    receipt = sqs.receive_message(QueueUrl=queue)["Messages"][0]["ReceiptHandle"]
    calls = [
        ("send_message_batch", {"Entries": [{"Id": "1", "MessageBody": "1"}]}),
        ("delete_message_batch", {"Entries": [{"Id": "1", "ReceiptHandle": receipt}]}),
    ]
    source = SOURCE.replace('"ec2"', '"sqs"')
    for rights, allowed in (("SendMessage", [True, False]), ("DeleteMessage", [False, True])):
        function = deploy(source, [{"Action": f"sqs:{rights}", "Resource": arn}])
        asked = [(call, {"QueueUrl": queue, **arguments}) for call, arguments in calls]
        assert [item == "OK" for item in stack.invoke(aws, function.name, {"calls": asked}).payload] == allowed


def test_rights_on_a_table_may_hang_on_the_partition(aws: LocalAws, deploy: Deploy) -> None:
    tables = aws.client("dynamodb")
    name = unique("table")
    tables.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )
    only_open = {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["open"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    arn = f"arn:aws:dynamodb:eu-west-1:111122223333:table/{name}"
    actions = [f"dynamodb:{action}" for action in ("Query", "GetItem", "PutItem", "Scan", "BatchWriteItem")]
    function = deploy(
        SOURCE.replace('"ec2"', '"dynamodb"'), [{"Action": actions, "Resource": arn, "Condition": only_open}]
    )

    def query(expression: str, **values: str) -> tuple[str, dict[str, Any]]:
        named = {f":{key}": {"S": value} for key, value in values.items()}
        return "query", {
            "TableName": name,
            "KeyConditionExpression": expression,
            "ExpressionAttributeValues": named,
            **({"ExpressionAttributeNames": {"#p": "pk"}} if "#p" in expression else {}),
        }

    def item(partition: str) -> dict[str, Any]:
        return {"pk": {"S": partition}, "sk": {"S": "open"}}

    def batch(*writes: Mapping[str, Any]) -> dict[str, Any]:
        return {"RequestItems": {name: writes}}

    calls = [
        query("pk = :a", a="open"),
        query("pk = :a AND begins_with(sk, :b)", a="open", b="x"),
        query("sk = :b AND #p = :a", a="open", b="other"),
        query("pk = :a AND sk = :b", a="other", b="open"),
        query("#p = :a", a="other"),
        ("get_item", {"TableName": name, "Key": item("open")}),
        ("get_item", {"TableName": name, "Key": item("other")}),
        ("put_item", {"TableName": name, "Item": item("open")}),
        ("put_item", {"TableName": name, "Item": item("other")}),
        ("scan", {"TableName": name}),
        ("batch_write_item", batch({"PutRequest": {"Item": item("open")}})),
        ("batch_write_item", batch({"DeleteRequest": {"Key": item("open")}}, {"PutRequest": {"Item": item("other")}})),
        ("batch_write_item", batch({"DeleteRequest": {"Key": item("other")}})),
    ]
    given = [answer.split(" ", 1)[0] for answer in stack.invoke(aws, function.name, {"calls": calls}).payload]
    denied = "AccessDeniedException"
    assert given == ["OK", "OK", "OK", denied, denied, "OK", denied, "OK", denied, denied, "OK", denied, denied]


def test_a_function_may_be_invoked_by_the_service_that_has_its_permission(
    aws: LocalAws, control: Control, deploy: Deploy
) -> None:
    function = deploy("def handler(event, context):\n    return 1\n")
    topic = aws.client("sns").create_topic(Name=f"to-{function.name}")["TopicArn"]
    aws.client("sns").subscribe(TopicArn=topic, Protocol="lambda", Endpoint=function.arn)

    def invoked() -> int:
        mark = control.mark()
        aws.client("sns").publish(TopicArn=topic, Message=json.dumps({}))
        control.settle()
        return len(control.invocations(mark, function=function.name))

    permit = {"FunctionName": function.name, "Action": "lambda:InvokeFunction"}
    functions = aws.client("lambda")
    assert invoked() == 0
    functions.add_permission(**permit, StatementId="a", Principal="events.amazonaws.com", SourceArn=topic)
    assert invoked() == 0
    functions.add_permission(**permit, StatementId="b", Principal="sns.amazonaws.com", SourceArn=topic + "x")
    assert invoked() == 0
    functions.add_permission(
        **permit, StatementId="c", Principal="sns.amazonaws.com", SourceArn=topic, SourceAccount="999999999999"
    )
    assert invoked() == 0
    functions.add_permission(**permit, StatementId="d", Principal="sns.amazonaws.com", SourceArn=topic)
    assert invoked() == 1


def test_rights_on_a_dashboard_are_of_that_one(aws: LocalAws, deploy: Deploy) -> None:
    ours, other = unique("dashboard"), unique("dashboard")
    for name in (ours, other):
        aws.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody='{"widgets": []}')
    source = SOURCE.replace('"ec2"', '"cloudwatch"')
    resource = f"arn:aws:cloudwatch::111122223333:dashboard/{ours}"
    function = deploy(source, [{"Action": "cloudwatch:GetDashboard", "Resource": resource}])
    calls = [("get_dashboard", {"DashboardName": name}) for name in (ours, other)]
    given = stack.invoke(aws, function.name, {"calls": calls}).payload
    assert [answer.split(" ")[0] for answer in given] == ["OK", "AccessDeniedException"]
