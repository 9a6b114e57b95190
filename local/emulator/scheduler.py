"""EventBridge Scheduler: due slots in their zone, context attributes in the input, retries and a dead-letter queue.

In place of ministack's own check, which fires in UTC, up to ten seconds late, with the input as it stands.
"""

import json
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ministack.core.responses import new_uuid
from ministack.services import eventbridge, sns
from ministack.services import scheduler as schedules

from local.emulator import asynchronous, lost, permissions, queues
from local.emulator.clock import CLOCK
from local.emulator.scope import Scope
from local.emulator.settings import SETTINGS
from local.emulator.timers import TIMERS

logger = logging.getLogger("local.scheduler")

DEFAULT_RETRIES = 185
RETRIES_TRIED = 3
"""At most so many retries are carried out: AWS spreads 185 over a day, and nothing changes here in between."""
AT = re.compile(r"^at\((.+)\)$")


class ScheduleError(LookupError):
    """No schedule, or more than one, is meant."""


class HandOverError(Exception):
    """The target did not take the event.

    Attributes:
        code: what AWS puts into the dead-letter queue's ERROR_CODE.
        retryable: whether trying again may help.
    """

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


@dataclass(frozen=True)
class Slot:
    """One due time of one schedule."""

    schedule: dict[str, Any]
    due: datetime

    @property
    def scheduled_time(self) -> str:
        """As in `<aws.scheduler.scheduled-time>`."""
        return self.due.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def next_due(schedule: dict[str, Any], after: datetime) -> datetime | None:
    """The first due time after a moment; nothing if there is none, or the expression is not understood."""
    expression = schedule.get("ScheduleExpression", "").strip()
    zone = ZoneInfo(schedule.get("ScheduleExpressionTimezone") or "UTC")
    once = AT.match(expression)
    if once:
        due = datetime.fromisoformat(once[1]).replace(tzinfo=zone)
        return due.astimezone(UTC) if due > after else None
    seconds = eventbridge._parse_rate_seconds(expression)
    if seconds:
        created = _created(schedule)
        periods = 0 if after < created else int((after - created).total_seconds() // seconds) + 1
        return created + timedelta(seconds=seconds * periods)
    fields = eventbridge._parse_cron_fields(expression)
    if fields is None:
        return None
    local = after.astimezone(zone)
    while True:
        found: datetime | None = eventbridge._cron_next_fire(fields, local)
        if found is None:
            return None
        if _exists(found):
            return found.astimezone(UTC)
        local = found


def _created(schedule: dict[str, Any]) -> datetime:
    """The minute in which a schedule was made."""
    return datetime.fromtimestamp(float(schedule["CreationDate"]), UTC).replace(second=0, microsecond=0)


def _watched_from(schedule: dict[str, Any], now: datetime) -> datetime:
    """The time after which a schedule's slots are due: a rate's first one is its creation.

    "If you do not provide a StartDate for a rate-based schedule, your schedule starts invoking the target immediately"
    (https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html).
    """
    is_new = schedule["CreationDate"] == schedule["LastModificationDate"]
    if is_new and schedule.get("ScheduleExpression", "").startswith("rate("):
        return _created(schedule) - timedelta(seconds=1)
    return now


def _exists(local: datetime) -> bool:
    """Whether clocks show this time at all: the hour that spring skips is skipped by Scheduler as well."""
    return local.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) == local.replace(tzinfo=None)


class Scheduler:
    """Fires due slots for as long as the process runs: searches for them now and then, or answers the simulated
    clock when the next one is due.
    """

    def __init__(self) -> None:
        self._checked_at: dict[tuple[str, str, str, str], datetime] = {}
        self._next: dict[tuple[str, str, str, str], tuple[datetime, float | None]] = {}

    def start(self) -> None:
        """Check for the first time."""
        if CLOCK.simulated:
            TIMERS.sources.append(self)
        else:
            TIMERS.after(SETTINGS.schedule_check_seconds, self._observe, "the check of schedules", counted=False)

    def _observe(self) -> None:
        try:
            self.run()
        finally:
            self.start()

    def run(self) -> None:
        """Fire what is due."""
        self._fire_due(datetime.now(UTC))

    def due(self) -> float | None:
        """When the next slot of all schedules is due, in seconds since 1970."""
        if not SETTINGS.schedules_fire:
            return None
        now = datetime.now(UTC)
        times = [self._due(key, schedule, now) for key, schedule in list(schedules._schedules._data.items())]
        return min((due for due in times if due is not None), default=None)

    def _due(self, scope: tuple[str, str, str], schedule: dict[str, Any], now: datetime) -> float | None:
        if schedule.get("State") != "ENABLED" or lost.is_lost(Scope(*scope[:2])):
            return None
        key = (*scope, str(schedule["LastModificationDate"]))
        since = self._checked_at.setdefault(key, _watched_from(schedule, now))
        known = self._next.get(key)
        if known is None or known[0] != since:
            due = next_due(schedule, since)
            known = self._next[key] = (since, due.timestamp() if due else None)
        return known[1]

    def _fire_due(self, now: datetime) -> None:
        for (account, region, name), schedule in list(schedules._schedules._data.items()):
            # An update starts anew, as the schedule may be a different one now.
            key = (account, region, name, str(schedule["LastModificationDate"]))
            since = self._checked_at.setdefault(key, _watched_from(schedule, now))
            if lost.is_lost(Scope(account, region)):
                continue
            if not SETTINGS.schedules_fire or schedule.get("State") != "ENABLED" or not _within(schedule, now):
                self._checked_at[key] = now
                continue
            due = next_due(schedule, since)
            if due is None or due > now:
                continue
            self._checked_at[key] = due
            Scope(account, region).run(lambda slot=Slot(schedule, due): fire(slot))  # type: ignore[misc]
            once = AT.match(schedule.get("ScheduleExpression", ""))
            if once and schedule.get("ActionAfterCompletion") == "DELETE":
                schedules._schedules._data.pop((account, region, name), None)


def _within(schedule: dict[str, Any], now: datetime) -> bool:
    start, end = (schedules._to_epoch(schedule.get(name)) for name in ("StartDate", "EndDate"))
    return not ((start and now.timestamp() < start) or (end and now.timestamp() > end))


RECONCILE = Scheduler()


def start() -> None:
    """In place of ministack's `start_scheduler`."""
    RECONCILE.start()


def all_schedules(after: str | None = None) -> list[dict[str, Any]]:
    """Name, target, expression and next due time (after now, or a given time) of every schedule there is."""
    now = datetime.fromisoformat(after) if after else datetime.now(UTC)
    found = []
    for (account, region, _name), schedule in list(schedules._schedules._data.items()):
        due = next_due(schedule, now)
        found.append(
            {
                "account": account,
                "region": region,
                "name": schedule["Name"],
                "group": schedule["GroupName"],
                "expression": schedule["ScheduleExpression"],
                "time_zone": schedule["ScheduleExpressionTimezone"],
                "state": schedule["State"],
                "target": schedule["Target"]["Arn"],
                "next_due": due.isoformat() if due else None,
            }
        )
    return found


def fire_now(wanted: str, scheduled_time: str | None, region: str | None = None) -> dict[str, Any]:
    """Fire the one schedule whose name or target contains `wanted`, as if a slot were due.

    Args:
        wanted: a part of the schedule's name or of its target's ARN.
        scheduled_time: the slot's due time in ISO 8601; the current minute if there is none.
        region: only schedules of this region.

    Raises:
        ScheduleError: none or several match.
    """
    matching = [
        (Scope(account, schedule_region), schedule)
        for (account, schedule_region, _name), schedule in list(schedules._schedules._data.items())
        if (wanted in schedule["Name"] or wanted in schedule["Target"]["Arn"]) and region in (None, schedule_region)
    ]
    if len(matching) != 1:
        names = ", ".join(schedule["Name"] for _scope, schedule in matching) or "none"
        raise ScheduleError(f"{wanted!r} must match exactly one schedule; it matches {names}")
    scope, schedule = matching[0]
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    due = datetime.fromisoformat(scheduled_time) if scheduled_time else now
    slot = Slot(schedule, due if due.tzinfo else due.replace(tzinfo=UTC))
    scope.run(lambda: fire(slot))
    return {"schedule": schedule["Name"], "scheduled_time": slot.scheduled_time}


def fire(slot: Slot) -> None:
    """Hand a slot's event to the schedule's target; the first attempt now, retries soon."""
    _attempt(slot, new_uuid().replace("-", "")[:16], 1)


def _attempt(slot: Slot, execution: str, number: int) -> None:
    target = slot.schedule["Target"]
    policy = target.get("RetryPolicy") or {}
    body = _input(slot, execution, number)
    try:
        _hand_over(target, body, slot.schedule["Arn"])
    except HandOverError as error:
        retries = min(int(policy.get("MaximumRetryAttempts", DEFAULT_RETRIES)), RETRIES_TRIED)
        if error.retryable and number <= retries:
            scope = Scope.current()
            TIMERS.after(
                SETTINGS.retry_seconds * number,
                lambda: scope.run(lambda: _attempt(slot, execution, number + 1)),
                f"a retry of schedule {slot.schedule['Name']}",
            )
        else:
            _dead_letter(slot, body, error, execution, number - 1)


def _input(slot: Slot, execution: str, attempt: int) -> str:
    """The input with its context attributes; Scheduler's default notification if there is no input."""
    schedule = slot.schedule
    given = schedule["Target"].get("Input")
    if not given:
        scope = Scope.current()
        notification = {
            "version": "0",
            "id": new_uuid(),
            "detail-type": "Scheduled Event",
            "source": "aws.scheduler",
            "account": scope.account,
            "time": slot.scheduled_time,
            "region": scope.region,
            "resources": [schedule["Arn"]],
            "detail": "{}",
        }
        return json.dumps(notification)
    values = {
        "schedule-arn": schedule["Arn"],
        "scheduled-time": slot.scheduled_time,
        "execution-id": execution,
        "attempt-number": str(attempt),
    }
    text = str(given)
    for name, value in values.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text


def _hand_over(target: dict[str, Any], body: str, schedule_arn: str) -> None:
    arn, role = target["Arn"], target["RoleArn"]
    service = arn.split(":")[2]
    action = {"lambda": "lambda:InvokeFunction", "sqs": "sqs:SendMessage", "sns": "sns:Publish"}.get(service)
    if action is None:
        raise HandOverError("AWS.Scheduler.UnsupportedTarget", f"a target of service {service} is not done here")
    if not permissions.role_trusts(role, "scheduler.amazonaws.com"):
        raise HandOverError("AWS.Scheduler.AccessDenied", f"{role} does not trust scheduler.amazonaws.com")
    if not permissions.role_may(role, action, arn):
        raise HandOverError("AWS.Scheduler.AccessDenied", f"{role} may not {action} on {arn}")
    if service == "lambda":
        _base, execution = permissions.function_of(arn)
        if not execution:
            raise HandOverError("AWS.Scheduler.ResourceNotFound", f"Function not found: {arn}")
        asynchronous.invoke(execution, json.loads(body))
    elif service == "sqs":
        try:
            queues.send(arn, body)
        except queues.QueueMissingError as error:
            raise HandOverError("AWS.Scheduler.ResourceNotFound", f"Queue not found: {arn}") from error
    else:
        sns._fanout(arn, new_uuid(), body, "")
    logger.info("%s handed over to %s", schedule_arn, arn)


def _dead_letter(slot: Slot, body: str, error: HandOverError, execution: str, retries: int) -> None:
    target = slot.schedule["Target"]
    queue = (target.get("DeadLetterConfig") or {}).get("Arn")
    logger.warning("schedule %s failed: %s", slot.schedule["Name"], error)
    if not queue:
        return
    # Scheduler sends with the schedule's own role, not as a service: the queue's policy has no say.
    if not permissions.role_may(target["RoleArn"], "sqs:SendMessage", queue):
        logger.error("%s may not send to %s: a failed slot is lost", target["RoleArn"], queue)
        return
    attributes = {
        "ERROR_CODE": error.code,
        "ERROR_MESSAGE": str(error),
        "EXECUTION_ID": execution,
        "IS_PAYLOAD_TRUNCATED": "false",
        "RETRY_ATTEMPTS": str(retries),
        "SCHEDULED_TIME": slot.scheduled_time,
        "SCHEDULE_ARN": slot.schedule["Arn"],
        "TARGET_ARN": target["Arn"],
    }
    if retries:
        attributes["EXHAUSTED_RETRY_CONDITION"] = "MaximumRetryAttempts"
    try:
        queues.send(queue, body, attributes)
    except queues.QueueMissingError:
        logger.exception("the dead-letter queue %s does not exist: a failed slot is lost", queue)
