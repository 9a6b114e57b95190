"""A schedule that CloudFormation makes is the schedule that the template describes, its time zone included."""

import json
from datetime import UTC, datetime

from local.session import LocalAws

JULY = datetime(2026, 7, 1, tzinfo=UTC)


def template(zone: str) -> str:
    schedule = {
        "ScheduleExpression": "cron(30 2 * * ? *)",
        "ScheduleExpressionTimezone": zone,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {
            "Arn": "arn:aws:sqs:eu-west-1:111122223333:nobody",
            "RoleArn": "arn:aws:iam::111122223333:role/nobody",
        },
    }
    return json.dumps({"Resources": {"Slot": {"Type": "AWS::Scheduler::Schedule", "Properties": schedule}}})


def test_a_schedule_of_a_stack_is_due_in_its_zone_also_after_an_update() -> None:
    with LocalAws({"schedules_fire": False}) as aws:
        cloudformation = aws.client("cloudformation")
        cloudformation.create_stack(StackName="s", TemplateBody=template("America/New_York"))
        aws.control.settle()
        [schedule] = aws.control.schedules(after=JULY)
        assert (schedule["time_zone"], schedule["next_due"]) == ("America/New_York", "2026-07-01T06:30:00+00:00")

        cloudformation.update_stack(StackName="s", TemplateBody=template("Asia/Kolkata"))
        aws.control.settle()
        [schedule] = aws.control.schedules(after=JULY)
        assert (schedule["time_zone"], schedule["next_due"]) == ("Asia/Kolkata", "2026-07-01T21:00:00+00:00")
