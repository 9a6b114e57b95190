"""Lambda, EventBridge and CloudWatch as live accounts showed them (tests/fixtures/captures); and nothing of the
recordings is forgotten."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.control import Control
from local.session import HOME_ACCOUNT, LocalAws
from tests.local.captures import CAPTURES, call, captured, labels
from tests.local.conftest import Deploy, Queue, unique

FAIL = "def handler(event, context):\n    raise RuntimeError('boom')\n"
SLOW = """
import time
def handler(event, context):
    time.sleep(event["sleep"])
    if event.get("fail"):
        raise RuntimeError("boom")
"""
NEAR = 12
"""Seconds: the recorded waits before a retry are 56 to 67 seconds, and 114."""


def recorded(part: str) -> Any:
    return captured("lambda_asynchronous_timing")[part]


def invoked(aws: LocalAws, function: str, event: str = "{}") -> str:
    """Invoke asynchronously; the request's id."""
    answer = aws.client("lambda").invoke(FunctionName=function, Payload=event.encode(), InvocationType="Event")
    assert answer["StatusCode"] == 202
    return str(answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"])


def test_all_attempts_have_the_request_id_that_invoke_answered(
    aws: LocalAws, control: Control, deploy: Deploy, new_queue: Any, mark: int
) -> None:
    shown = recorded("function_error")["evidence_relationships"]
    assert shown["direct_async_acceptance_request_id_equals_handler_request_id"] is True
    failed: Queue = new_queue()
    function = deploy(FAIL, [{"Action": "sqs:SendMessage", "Resource": failed.arn}])
    aws.client("lambda").put_function_event_invoke_config(
        FunctionName=function.name, DestinationConfig={"OnFailure": {"Destination": failed.arn}}
    )
    answered = invoked(aws, function.name)
    control.settle()
    attempts = control.invocations(mark, function=function.name)
    assert [item["request_id"] for item in attempts] == [answered] * 3
    waited = [later["at"] - earlier["at"] for earlier, later in pairwise(attempts)]
    assert waited == pytest.approx(shown["function_error_observed_retry_delays_seconds"], abs=NEAR)
    starts = [marker["started_at"] for marker in recorded("second_attempts")["markers"]]
    for first, second in starts:
        assert waited[0] == pytest.approx(second - first, abs=NEAR)
    [found] = failed.bodies()
    assert found["requestContext"]["requestId"] == answered


@pytest.mark.parametrize(
    ("case", "event"), [("retry", '{"sleep": 1, "fail": 1}'), ("age", '{"sleep": 130, "fail": 1}')]
)
def test_an_event_ends_after_its_attempts_or_by_its_age(
    aws: LocalAws, control: Control, deploy: Deploy, new_queue: Any, *, mark: int, case: str, event: str
) -> None:
    shown = recorded("limits")
    failed: Queue = new_queue()
    function = deploy(SLOW, [{"Action": "sqs:SendMessage", "Resource": failed.arn}], Timeout=200)
    aws.client("lambda").put_function_event_invoke_config(
        FunctionName=function.name, **shown["settings"], DestinationConfig={"OnFailure": {"Destination": failed.arn}}
    )
    invoked(aws, function.name, event)
    control.settle()
    wanted = shown["alias-delete"][case]
    assert len(control.invocations(mark, function=function.name)) == wanted["entries"]
    [found] = failed.bodies()
    context = found["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == (wanted["condition"], wanted["count"])


def test_an_event_without_a_free_slot_waits_longer_than_for_the_slot(
    aws: LocalAws, control: Control, deploy: Deploy, new_queue: Any, mark: int
) -> None:
    shown = recorded("no_free_slot")
    done: Queue = new_queue()
    function = deploy(SLOW, [{"Action": "sqs:SendMessage", "Resource": done.arn}], Timeout=100)
    functions = aws.client("lambda")
    slots = shown["reserved_concurrency"]
    functions.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=slots)
    functions.put_function_event_invoke_config(
        FunctionName=function.name, DestinationConfig={"OnSuccess": {"Destination": done.arn}}
    )
    accepted = control.now().timestamp()
    invoked(aws, function.name, f'{{"sleep": {shown["blocker_sleep_seconds"]}}}')
    invoked(aws, function.name, '{"sleep": 0}')
    control.settle()
    _, queued = sorted(control.invocations(mark, function=function.name), key=lambda item: item["at"])
    waits = [case["terminal_after_acceptance_seconds"] for case in shown["cases"]]
    assert min(waits) - 2 < queued["at"] - accepted < max(waits) + 2
    counts = [body["requestContext"]["approximateInvokeCount"] for body in done.bodies()]
    assert counts == [case["approximateInvokeCount"] for case in shown["cases"][:2]]


def test_a_bus_as_a_target_with_a_retry_policy_is_refused_in_the_recorded_words(aws: LocalAws) -> None:
    [wanted] = [c for c in captured("eventbridge_bus_target_retry_policy")["calls"] if c["operation"] == "PutTargets"]
    assert wanted["label"] == "good"
    events, rule = aws.client("events"), unique("rule")
    events.put_rule(Name=rule, EventPattern='{"source": ["captured"]}')
    [target] = wanted["input"]["Targets"]
    target = {
        key: value.replace("000000000000", HOME_ACCOUNT) if isinstance(value, str) else value
        for key, value in target.items()
    }
    with pytest.raises(ClientError) as refusal:
        events.put_targets(Rule=rule, Targets=[target])
    assert refusal.value.response["Error"] == wanted["output"]["Error"]


def test_a_bus_that_does_not_exist_takes_an_event_without_a_trace(
    aws: LocalAws, control: Control, new_queue: Any
) -> None:
    """In captures.md: acknowledged and dropped, nothing in the dead-letter queue; here in another region."""
    dead: Queue = new_queue()
    dead.allow("events.amazonaws.com")
    events, name = aws.client("events"), unique("nowhere")
    role = aws.client("iam").create_role(
        RoleName=name,
        AssumeRolePolicyDocument='{"Statement": [{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},'
        ' "Action": "sts:AssumeRole"}]}',
    )["Role"]["Arn"]
    policy = '{"Statement": [{"Effect": "Allow", "Action": "events:PutEvents", "Resource": "*"}]}'
    aws.client("iam").put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy)
    events.put_rule(Name=name, EventPattern=f'{{"source": ["{name}"]}}')
    for bus in ("eu-central-1", "eu-west-1"):
        arn = f"arn:aws:events:{bus}:{HOME_ACCOUNT}:event-bus/none"
        target = {"Id": bus, "Arn": arn, "RoleArn": role, "DeadLetterConfig": {"Arn": dead.arn}}
        events.put_targets(Rule=name, Targets=[target])
    answer = events.put_events(Entries=[{"Source": name, "DetailType": "x", "Detail": "{}"}])
    assert answer["FailedEntryCount"] == 0
    control.settle()
    assert dead.messages() == []


# --- alarms of ten seconds

PERIOD = 10
SAMPLES = {"dense": [(0, 100), (10, 0), (20, 100)], "sparse": [(0, 100), (20, 100), (40, 0)]}
"""What was put when, in seconds."""
OBSERVED_AT_ONCE = {
    # When AWS observed, in seconds after the first point.
    "dense-real-over-breaching": 39,
    "dense-oldest-breach-expires": 112,
    "dense-last-breach-ages": 122,
    "dense-all-points-expire": 133,
    "sparse-real-over-breaching": 50,
}


@pytest.mark.parametrize("label", OBSERVED_AT_ONCE)
def test_an_alarm_of_ten_seconds_is_in_the_recorded_state(aws: LocalAws, control: Control, label: str) -> None:
    case = call("cloudwatch_alarm_missing_data", label)
    watch, name = aws.client("cloudwatch"), unique("captured")
    watch.put_metric_alarm(
        AlarmName=name,
        Namespace="Captured",
        MetricName=name,
        Statistic="Average",
        Period=PERIOD,
        EvaluationPeriods=3,
        DatapointsToAlarm=case["DatapointsToAlarm"],
        Threshold=50,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData=case["TreatMissingData"],
    )
    begun = 0
    for at, value in SAMPLES[label.split("-", maxsplit=1)[0]]:
        control.advance(at - begun)
        begun = at
        now = control.now()
        watch.put_metric_data(Namespace="Captured", MetricData=[{"MetricName": name, "Value": value, "Timestamp": now}])
    control.configure(alarm_seconds=1)
    control.advance(OBSERVED_AT_ONCE[label] - begun)
    [alarm] = watch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    watch.delete_alarms(AlarmNames=[name])
    assert alarm["StateValue"] == case["to"]


# --- nothing is forgotten

LEFT_OUT = {
    "enable-zero-dry-False": "EnableVolumeIO is not done here",
    "iam-denied-modify_volume-dry": "an id that is none is judged as every volume there, as no resource here",
    "snapshot-control-source-snapshot-state-0": "the EBS direct APIs are not done here",
    "loop": "a function that invokes itself through a queue is not stopped here",
}
"""Recorded, and not as it is here."""


def test_every_recording_is_asserted_or_left_out_for_a_reason() -> None:
    found = "".join(path.read_text() for path in Path(__file__).parent.glob("test_captures*.py"))
    names = [path.stem for path in CAPTURES.glob("*.json")]
    assert len(names) == 20
    assert not [name for name in names if f'"{name}"' not in found]
    every = {label for name in names for label in labels(name)} - {"scope_words", "gaps_in_their_own_words"}
    numbered = {f"snapshot-tagged-description-snapshot-state-{number}" for number in range(5)}
    forgotten = {label for label in every - numbered - LEFT_OUT.keys() if f'"{label}"' not in found}
    assert not forgotten
    assert LEFT_OUT.keys() <= every
