"""CloudWatch alarms: evaluated by dimension and with missing data, and received only where the topic lets them.

In place of ministack's evaluation, which lumps the metrics of all functions together and never sees missing data.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ministack.services import cloudwatch, sns, sqs

from local.emulator.scope import Scope
from local.emulator.settings import SETTINGS
from local.emulator.timers import TIMERS

logger = logging.getLogger("local.alarms")

_dispatch_actions = cloudwatch._dispatch_alarm_actions

FILL = re.compile(r"FILL\((\w+), *([0-9.]+)\)")
EARLIER_PERIODS = 8
"""How many periods more than EvaluationPeriods an alarm goes back for real data. Recorded for ten-second alarms of
three periods: eleven in all; of others AWS says only that there are some (tests/fixtures/captures)."""

DATED_BACK = 100
"""How many older data end the search for those of an alarm's periods. They are in the order in which they were put, so
that the newest come first, but for some that a test puts with a date of its own. To read all of them at every minute
would take the longer, the longer the simulated time."""

STATISTICS = {
    "Sum": sum,
    "Maximum": max,
    "Minimum": min,
    "SampleCount": len,
    "Average": lambda values: sum(values) / len(values),
}
COMPARISONS = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


FILLED = "_filled_with"
"""Where an alarm keeps what its expression puts in the place of missing data."""


def on_one_metric(make: Callable[..., Any], properties_at: int) -> Callable[..., Any]:
    """In place of ministack's AWS::CloudWatch::Alarm, which takes no expression: FILL of one metric is one here."""

    def make_alarm(*given: Any, **more: Any) -> Any:
        properties = given[properties_at]
        plain, filled = _plain(properties)
        made = make(*given[:properties_at], plain, *given[properties_at + 1 :], **more)
        alarm = cloudwatch._alarms[made[0]]
        if filled is None:
            alarm.pop(FILLED, None)
        else:
            alarm[FILLED] = filled
        return made

    return make_alarm


def _plain(properties: Mapping[str, Any]) -> tuple[dict[str, Any], float | None]:
    """An alarm on one metric, and what fills its gaps; an alarm on any other expression is as it was."""
    metrics = {item["Id"]: item for item in properties.get("Metrics") or []}
    expressions = [match for item in metrics.values() if (match := FILL.fullmatch(item.get("Expression") or ""))]
    if len(metrics) != 2 or len(expressions) != 1 or expressions[0][1] not in metrics:
        return dict(properties), None
    measured = metrics[expressions[0][1]]["MetricStat"]
    plain = {name: value for name, value in properties.items() if name != "Metrics"}
    plain |= {**measured["Metric"], "Statistic": measured["Stat"], "Period": measured["Period"]}
    return plain, float(expressions[0][2])


def start() -> None:
    """Evaluate the alarms of all accounts and regions now and then, for as long as the process runs."""
    TIMERS.after(SETTINGS.alarm_seconds, _run, "the alarm check", counted=False)


def _run() -> None:
    try:
        scopes = {(key[0], key[1]) for key in list(cloudwatch._alarms._data)}
        for account, region in scopes:
            Scope(account, region).run(evaluate_all)
    finally:
        start()


def evaluate_all() -> None:
    """In place of ministack's: evaluate the alarms of the current account and region."""
    _measure_queues()
    now = time.time()
    for alarm in list(cloudwatch._alarms.values()):
        try:
            evaluate(alarm, now)
        except Exception:
            logger.exception("alarm %s could not be evaluated", alarm.get("AlarmName"))


def _measure_queues() -> None:
    """What SQS publishes about its queues, every minute in AWS."""
    now = time.time()
    for queue in list(sqs._queues.values()):
        waiting = [message for message in queue["messages"] if message.get("visible_at", 0) <= now]
        name = queue["attributes"]["QueueArn"].rsplit(":", 1)[1]
        oldest = now - min((message["sent_at"] for message in waiting), default=now)
        for metric, value in (
            ("ApproximateNumberOfMessagesVisible", len(waiting)),
            ("ApproximateAgeOfOldestMessage", oldest),
        ):
            cloudwatch.record_metric("AWS/SQS", metric, value, "Count", {"QueueName": name})


def evaluate(alarm: dict[str, Any], now: float | None = None) -> None:
    """In place of ministack's: evaluate one alarm, as it stands now by default."""
    now = now or time.time()
    period, wanted = int(alarm.get("Period") or 60), int(alarm.get("EvaluationPeriods") or 1)
    points = _points(alarm, now - (wanted + EARLIER_PERIODS) * period)
    if points is None:
        return
    needed = int(alarm.get("DatapointsToAlarm") or wanted)
    created = float(alarm.get("_first_evaluated") or alarm.setdefault("_first_evaluated", now))
    verdicts = [
        _period(alarm, points, now - (index + 1) * period, now - index * period)
        for index in range(wanted + EARLIER_PERIODS)
    ]
    real = [verdict for verdict in verdicts if verdict is not None]
    if FILLED in alarm and real:
        filling = COMPARISONS[alarm["ComparisonOperator"]](alarm[FILLED], float(alarm.get("Threshold") or 0))
        known = [bool(filling) if verdict is None else verdict for verdict in verdicts[:wanted]]
    else:
        # Real data come before missing ones. A period that began before the alarm existed is no evidence of the latter.
        missing = [
            v for index, v in enumerate(verdicts[:wanted]) if v is None and now - (index + 1) * period >= created
        ]
        known = [*real[:wanted], *missing[: max(0, wanted - len(real))]]
    ages = [index + 1 for index, verdict in enumerate(verdicts) if verdict is not None][:wanted]
    state = "ALARM" if _last_ones_breach(alarm, known, ages, needed) else _state(alarm, known, needed)
    if state and state != alarm["StateValue"]:
        _change(alarm, state)


def _last_ones_breach(alarm: Mapping[str, Any], known: Sequence[bool | None], ages: Sequence[int], needed: int) -> bool:
    """Whether all data that are left breach, the oldest of them for long enough, and the rest is missing (recorded, and
    documented as what is done against premature transitions)."""
    if (alarm.get("TreatMissingData") or "missing") != "missing" or None not in known:
        return False
    return bool(ages) and ages[-1] >= needed and all(verdict is not False for verdict in known)


def _points(alarm: dict[str, Any], since: float) -> list[dict[str, Any]] | None:
    """The data of exactly this metric since then; nothing if the alarm is not on one metric."""
    namespace, metric = alarm.get("Namespace"), alarm.get("MetricName")
    if not namespace or not metric:
        return None
    dimensions = {item["Name"]: item["Value"] for item in alarm.get("Dimensions") or []}
    found, older = [], 0
    for point in reversed(cloudwatch._metrics.get((namespace, metric, cloudwatch._dims_key(dimensions)), ())):
        if point["Timestamp"] > since:
            found.append(point)
        elif (older := older + 1) == DATED_BACK:
            break
    return found


def _period(alarm: dict[str, Any], points: list[dict[str, Any]], begin: float, end: float) -> bool | None:
    """Whether one period breaches the threshold; nothing if it has no data."""
    values = [point["Value"] for point in points if begin < point["Timestamp"] <= end]
    statistic = STATISTICS.get(alarm.get("Statistic") or "Average")
    compare = COMPARISONS.get(alarm.get("ComparisonOperator", ""))
    if not values or statistic is None or compare is None:
        return None
    return bool(compare(statistic(values), float(alarm.get("Threshold") or 0)))


def _state(alarm: dict[str, Any], verdicts: list[bool | None], needed: int) -> str | None:
    """The state that follows, or nothing to keep the present one."""
    missing = alarm.get("TreatMissingData") or "missing"
    filled = [{"breaching": True, "notBreaching": False}.get(missing) if v is None else v for v in verdicts]
    if sum(verdict is True for verdict in filled) >= needed:
        return "ALARM"
    if any(verdict is not None for verdict in filled):
        return "OK"
    return "INSUFFICIENT_DATA" if filled and missing == "missing" else None


def _change(alarm: dict[str, Any], state: str) -> None:
    before = alarm["StateValue"]
    alarm["StateValue"] = state
    alarm["StateReason"] = f"{alarm.get('MetricName')} is {alarm.get('ComparisonOperator')} {alarm.get('Threshold')}"
    alarm["StateUpdatedTimestamp"] = int(time.time())
    cloudwatch._record_history(alarm["AlarmName"], before, state, alarm["StateReason"])
    dispatch_actions(alarm, before, state, alarm["StateReason"])


def dispatch_actions(alarm: dict[str, Any], before: str, state: str, reason: str) -> None:
    """In place of ministack's: the same, but only topics whose policy lets CloudWatch publish receive it."""
    field = {"ALARM": "AlarmActions", "OK": "OKActions"}.get(state, "InsufficientDataActions")
    account = Scope.current().account
    received = []
    for topic in alarm.get(field) or []:
        if sns.topic_policy_allows(topic, "cloudwatch.amazonaws.com", alarm["AlarmArn"], account):
            received.append(topic)
        else:
            logger.error(
                "the policy of %s does not let alarm %s publish: it is not received", topic, alarm["AlarmName"]
            )
    _dispatch_actions({**alarm, field: received}, before, state, reason)
