"""Asynchronous invocations are retried, end visibly when they fail for good, and are measured."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from local import stack
from local.control import Control
from local.session import LocalAws
from tests.local.conftest import Deploy, Queue, new_role, rule_to, unique

SAMPLES = Path(__file__).parent.parent / "fixtures" / "events"
FAIL = "def handler(event, context):\n    raise RuntimeError('boom')\n"
NewQueue = Callable[[], Queue]


def may_send(queue: Queue) -> list[dict[str, Any]]:
    return [{"Action": "sqs:SendMessage", "Resource": queue.arn}]


def attempts(control: Control, mark: int, function: str) -> int:
    return len(control.invocations(mark, function=function))


@pytest.mark.parametrize("qualifier", [{}, {"Qualifier": "$LATEST"}], ids=["unqualified", "as SAM does it"])
def test_an_event_is_retried_and_ends_at_its_destination(
    aws: LocalAws, control: Control, deploy: Deploy, new_queue: NewQueue, *, mark: int, qualifier: dict[str, str]
) -> None:
    failed = new_queue()
    function = deploy(FAIL, may_send(failed))
    aws.client("lambda").put_function_event_invoke_config(
        FunctionName=function.name,
        **qualifier,
        MaximumRetryAttempts=2,
        DestinationConfig={"OnFailure": {"Destination": failed.arn}},
    )
    rule_to(aws, function, {"source": ["aws.ec2"], "detail": {"event": [function.name]}})
    control.put_event({"detail-type": "x", "detail": {"event": function.name}})
    control.settle()
    assert attempts(control, mark, function.name) == 3
    (record,) = failed.bodies()
    sample = json.loads((SAMPLES / "lambda-onfailure-destination.json").read_text())
    assert set(record) == set(sample)
    assert set(record["requestContext"]) == set(sample["requestContext"])
    assert (record["requestContext"]["condition"], record["requestContext"]["approximateInvokeCount"]) == (
        "RetriesExhausted",
        3,
    )
    assert record["requestPayload"]["detail"] == {"event": function.name}
    assert (record["responsePayload"]["errorType"], record["responsePayload"]["errorMessage"]) == (
        "RuntimeError",
        "boom",
    )


def test_the_dead_letter_queue_gets_the_bare_event(
    aws: LocalAws, control: Control, deploy: Deploy, new_queue: NewQueue, mark: int
) -> None:
    dead = new_queue()
    function = deploy(FAIL, may_send(dead), DeadLetterConfig={"TargetArn": dead.arn})
    aws.client("lambda").put_function_event_invoke_config(FunctionName=function.name, MaximumRetryAttempts=0)
    stack.invoke(aws, function.name, {"n": 1}, asynchronous=True)
    control.settle()
    assert attempts(control, mark, function.name) == 1
    (message,) = dead.messages()
    assert json.loads(message["Body"]) == {"n": 1}
    assert message["MessageAttributes"]["ErrorMessage"]["StringValue"] == "boom"


def test_without_the_right_to_send_a_failure_is_lost(
    aws: LocalAws, control: Control, deploy: Deploy, new_queue: NewQueue
) -> None:
    failed = new_queue()
    function = deploy(FAIL)
    aws.client("lambda").put_function_event_invoke_config(
        FunctionName=function.name, DestinationConfig={"OnFailure": {"Destination": failed.arn}}
    )
    stack.invoke(aws, function.name, {}, asynchronous=True)
    control.settle()
    assert failed.messages() == []


def test_a_later_attempt_may_succeed(aws: LocalAws, control: Control, deploy: Deploy, mark: int) -> None:
    source = "n = []\ndef handler(event, context):\n    n.append(1)\n    assert len(n) > 1\n    return len(n)\n"
    function = deploy(source)
    stack.invoke(aws, function.name, {}, asynchronous=True)
    control.settle()
    answer = control.invocations(mark, function=function.name)
    assert [(t["error"], t["result"]) for t in answer][1] == (False, 2)
    assert len(answer) == 2


def test_reserved_concurrency_delays_and_does_not_lose(
    aws: LocalAws, control: Control, deploy: Deploy, mark: int
) -> None:
    function = deploy("import time\ndef handler(event, context):\n    time.sleep(0.2)\n")
    aws.client("lambda").put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=1)
    for _ in range(3):
        stack.invoke(aws, function.name, {}, asynchronous=True)
    control.settle()
    answer = sorted(control.invocations(mark, function=function.name), key=lambda t: t["at"])
    assert len(answer) == 3
    assert all(a["at"] + a["milliseconds"] / 1000 <= b["at"] for a, b in pairwise(answer))


def test_a_rule_without_permission_goes_to_its_dead_letter_queue(
    aws: LocalAws, control: Control, deploy: Deploy, new_queue: NewQueue, mark: int
) -> None:
    function, dead = deploy(FAIL), new_queue()
    arn = rule_to(
        aws, function, {"detail": {"event": [function.name]}}, permit=False, DeadLetterConfig={"Arn": dead.arn}
    )
    event = {"detail-type": "x", "detail": {"event": function.name}}
    control.put_event(event)
    control.settle()
    assert dead.messages() == []  # the queue's policy must let EventBridge send
    dead.allow("events.amazonaws.com")
    control.put_event(event)
    control.settle()
    (message,) = dead.messages()
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert (attributes["RULE_ARN"], attributes["ERROR_CODE"]) == (arn, "NO_PERMISSIONS")
    assert json.loads(message["Body"])["detail"] == {"event": function.name}
    assert attempts(control, mark, function.name) == 0


def test_failures_of_events_raise_alarms(aws: LocalAws, control: Control, deploy: Deploy, new_queue: NewQueue) -> None:
    function, other, inbox, failed = deploy(FAIL), deploy("def handler(e, c): pass"), new_queue(), new_queue()
    sns, watch, name = aws.client("sns"), aws.client("cloudwatch"), unique("alarm")
    topic = sns.create_topic(Name=name)["TopicArn"]
    inbox.allow("sns.amazonaws.com")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=inbox.arn, Attributes={"RawMessageDelivery": "true"})

    def put_alarm(suffix: str, namespace: str, metric: str, dimension: tuple[str, str]) -> None:
        watch.put_metric_alarm(
            AlarmName=f"{name}-{suffix}",
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": dimension[0], "Value": dimension[1]}],
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            TreatMissingData="notBreaching",
            AlarmActions=[topic],
        )

    put_alarm("errors", "AWS/Lambda", "Errors", ("FunctionName", function.name))
    put_alarm("fine", "AWS/Lambda", "Errors", ("FunctionName", other.name))
    put_alarm("queue", "AWS/SQS", "ApproximateNumberOfMessagesVisible", ("QueueName", failed.arn.rsplit(":", 1)[1]))
    policy = {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": topic,
            }
        ]
    }
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(policy))
    stack.invoke(aws, function.name, {}, asynchronous=True)
    stack.invoke(aws, other.name, {}, asynchronous=True)
    failed.sqs.send_message(QueueUrl=failed.url, MessageBody="x")
    control.settle()
    assert [answer["error"] for answer in control.invocations(function=other.name)] == [False]
    answer: set[tuple[str, str]] = set()
    for _minute in range(3):
        control.advance(60)
        answer |= {(body["AlarmName"].removeprefix(name), body["NewStateValue"]) for body in inbox.bodies()}
    assert {alarm for alarm, state in answer if state == "ALARM"} == {"-errors", "-queue"}


def schedule(aws: LocalAws, arn: str, role: str, expression: str, **more: Any) -> str:
    name = unique("schedule")
    wanted = {"Arn": arn, "RoleArn": role, **more.pop("target", {})}
    aws.client("scheduler").create_schedule(
        Name=name, ScheduleExpression=expression, FlexibleTimeWindow={"Mode": "OFF"}, Target=wanted, **more
    )
    return name


RECORD = "def handler(event, context):\n    return event\n"
TOKENS = {
    "scheduled_time": "<aws.scheduler.scheduled-time>",
    "schedule_arn": "<aws.scheduler.schedule-arn>",
    "execution_id": "<aws.scheduler.execution-id>",
    "attempt": "<aws.scheduler.attempt-number>",
}


def scheduler_role(aws: LocalAws, *statements: dict[str, Any]) -> str:
    return new_role(aws, unique("scheduler"), "scheduler.amazonaws.com", statements)


def test_context_attributes_are_put_into_the_input(aws: LocalAws, control: Control, deploy: Deploy, mark: int) -> None:
    function = deploy(RECORD)
    role = scheduler_role(aws, {"Action": "lambda:InvokeFunction", "Resource": function.arn})
    name = schedule(aws, function.arn, role, "cron(0 2 * * ? *)", target={"Input": json.dumps(TOKENS)})
    assert control.fire_schedule(name, "2026-11-23T02:00:00Z") == "2026-11-23T02:00:00Z"
    control.settle()
    (answer,) = control.invocations(mark, function=function.name)
    assert answer["event"]["scheduled_time"] == "2026-11-23T02:00:00Z"
    assert answer["event"]["schedule_arn"] == f"arn:aws:scheduler:eu-west-1:111122223333:schedule/default/{name}"
    assert answer["event"]["attempt"] == "1"
    assert len(answer["event"]["execution_id"]) == 16


def test_a_schedule_fires_when_it_is_due_and_without_input(
    aws: LocalAws, control: Control, deploy: Deploy, mark: int
) -> None:
    function = deploy(RECORD)
    role = scheduler_role(aws, {"Action": "lambda:InvokeFunction", "Resource": function.arn})
    due = (control.now() + timedelta(hours=5)).replace(microsecond=0)
    offset = due.astimezone(ZoneInfo("Europe/Berlin"))
    schedule(
        aws,
        function.arn,
        role,
        f"at({offset.strftime('%Y-%m-%dT%H:%M:%S')})",
        ScheduleExpressionTimezone="Europe/Berlin",
        ActionAfterCompletion="DELETE",
    )
    control.advance(to=due - timedelta(seconds=1))
    assert control.invocations(mark, function=function.name) == []
    control.advance(2)
    answer = control.invocations(mark, function=function.name)
    sample = json.loads((SAMPLES / "scheduler-default-no-input.json").read_text())
    assert set(answer[0]["event"]) == set(sample)
    assert answer[0]["event"]["time"] == due.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert answer[0]["event"]["detail"] == "{}"


def test_a_rate_fires_at_once_and_then_after_each_period(
    aws: LocalAws, control: Control, deploy: Deploy, mark: int
) -> None:
    function = deploy(RECORD)
    role = scheduler_role(aws, {"Action": "lambda:InvokeFunction", "Resource": function.arn})
    created = control.now().replace(second=0, microsecond=0)
    schedule(aws, function.arn, role, "rate(90 minutes)")
    control.settle()
    assert len(control.invocations(mark, function=function.name)) == 1
    control.advance(to=created + timedelta(minutes=180))
    events = [item["event"] for item in control.invocations(mark, function=function.name)]
    assert [event["time"] for event in events] == [
        (created + timedelta(minutes=90 * period)).strftime("%Y-%m-%dT%H:%M:%SZ") for period in range(3)
    ]


def test_the_schedules_are_answered_with_their_next_time(aws: LocalAws, control: Control, deploy: Deploy) -> None:
    function = deploy(RECORD)
    role = scheduler_role(aws, {"Action": "lambda:InvokeFunction", "Resource": function.arn})
    name = schedule(
        aws, function.arn, role, "cron(30 2 * * ? *)", ScheduleExpressionTimezone="America/New_York", State="DISABLED"
    )
    (answer,) = [entry for entry in control.schedules() if entry["name"] == name]
    due = datetime.fromisoformat(answer["next_due"])
    assert (due.astimezone(UTC).minute, due.second, answer["state"]) == (30, 0, "DISABLED")
    assert due.astimezone(UTC).hour in (6, 7)


@pytest.mark.parametrize(
    ("after", "due"),
    [
        (datetime(2026, 11, 22, 12, tzinfo=UTC), datetime(2026, 11, 23, 1, 30, tzinfo=UTC)),
        (datetime(2027, 3, 27, 12, tzinfo=UTC), datetime(2027, 3, 29, 0, 30, tzinfo=UTC)),  # spring skips 02:30
        (datetime(2027, 10, 30, 12, tzinfo=UTC), datetime(2027, 10, 31, 0, 30, tzinfo=UTC)),  # autumn has two,
        (datetime(2027, 10, 31, 0, 30, tzinfo=UTC), datetime(2027, 11, 1, 1, 30, tzinfo=UTC)),  # and one is taken
    ],
)
def test_daylight_saving_time(aws: LocalAws, control: Control, deploy: Deploy, after: datetime, due: datetime) -> None:
    function = deploy(RECORD)
    role = scheduler_role(aws)
    name = schedule(aws, function.arn, role, "cron(30 2 * * ? *)", ScheduleExpressionTimezone="Europe/Berlin")
    (answer,) = [entry for entry in control.schedules(after=after) if entry["name"] == name]
    assert datetime.fromisoformat(answer["next_due"]) == due


def test_schedules_can_be_kept_from_firing(aws: LocalAws, control: Control, deploy: Deploy, mark: int) -> None:
    control.configure(schedules_fire=False)
    function = deploy(RECORD)
    role = scheduler_role(aws, {"Action": "lambda:InvokeFunction", "Resource": function.arn})
    due = (control.now() + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S")
    name = schedule(aws, function.arn, role, f"at({due})")
    control.advance(120)
    assert attempts(control, mark, function.name) == 0
    control.fire_schedule(name)
    control.settle()
    assert attempts(control, mark, function.name) == 1


def test_a_schedule_that_may_not_invoke_goes_to_its_dead_letter_queue(
    aws: LocalAws, control: Control, deploy: Deploy, new_queue: NewQueue, mark: int
) -> None:
    function, dead = deploy(RECORD), new_queue()
    role = scheduler_role(aws, {"Action": "sqs:SendMessage", "Resource": dead.arn})
    target = {"Input": json.dumps(TOKENS), "DeadLetterConfig": {"Arn": dead.arn}}
    name = schedule(aws, function.arn, role, "cron(0 2 * * ? *)", target=target)
    control.fire_schedule(name, "2026-11-23T02:00:00Z")
    control.settle()
    (message,) = dead.messages()
    attributes = {key: value["StringValue"] for key, value in message["MessageAttributes"].items()}
    sample = json.loads((SAMPLES / "scheduler-dlq-sqs-message.json").read_text())
    assert set(attributes) | {"EXHAUSTED_RETRY_CONDITION"} == set(sample["MessageAttributes"])
    assert (attributes["ERROR_CODE"], attributes["SCHEDULED_TIME"]) == (
        "AWS.Scheduler.AccessDenied",
        "2026-11-23T02:00:00Z",
    )
    assert json.loads(message["Body"])["scheduled_time"] == "2026-11-23T02:00:00Z"
    assert attempts(control, mark, function.name) == 0


def test_an_email_subscriber_reads_the_part_for_email(aws: LocalAws, control: Control, mark: int) -> None:
    sns = aws.client("sns")
    topic = sns.create_topic(Name=unique("topic"))["TopicArn"]
    sns.subscribe(
        TopicArn=topic,
        Protocol="email",
        Endpoint="operator@example.com",
        Attributes={"FilterPolicy": '{"severity": ["critical"]}'},
    )
    message = json.dumps({"default": "{}", "email": "Read this."})
    for severity in ("info", "critical"):
        attributes = {"severity": {"DataType": "String", "StringValue": severity}}
        sns.publish(
            TopicArn=topic,
            Subject=severity,
            Message=message,
            MessageStructure="json",
            MessageAttributes=attributes,  # type: ignore[arg-type]
        )
    letters = [(item["to"], item["subject"], item["text"]) for item in control.emails(mark) if item["topic"] == topic]
    assert letters == [("operator@example.com", "critical", "Read this.")]


def test_messages_that_are_held_back_can_be_handed_out_again(aws: LocalAws, control: Control) -> None:
    sqs = aws.client("sqs")
    queue = sqs.create_queue(QueueName=unique("held"), Attributes={"VisibilityTimeout": "600"})["QueueUrl"]
    for body in ("received", "delayed"):
        sqs.send_message(QueueUrl=queue, MessageBody=body, DelaySeconds=600 * (body == "delayed"))
    [message] = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=300)
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
    assert control.release_messages(queue) == 2
    again = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert {item["Body"] for item in again} == {"received", "delayed"}
    sqs.delete_queue(QueueUrl=queue)
