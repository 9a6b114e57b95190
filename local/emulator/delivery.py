"""From a rule or a topic to a function: only with permission, asynchronously, and to a dead-letter queue if it cannot.

EventBridge and SNS hand an event over to Lambda and are done; what the function makes of it is Lambda's business
(`asynchronous.py`). A missing permission or function is theirs: without a retry it goes to the dead-letter queue of the
rule's target or of the subscription.
"""

import contextvars
import json
import logging
import time
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import eventbridge, sns

from local.emulator import asynchronous, lost, permissions, queues
from local.emulator.scope import Scope
from local.emulator.timers import TIMERS

logger = logging.getLogger("local.delivery")


@dataclass(frozen=True)
class _RuleTarget:
    rule: dict[str, Any]
    target: dict[str, Any]


_current: contextvars.ContextVar[_RuleTarget | None] = contextvars.ContextVar("rule_target", default=None)
_invoke_target = eventbridge._invoke_target
_rule_to_bus = eventbridge._dispatch_to_event_bus

DEFAULT_BUS = "event-bus/default"


def invoke_target(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None) -> None:
    """In place of ministack's: the same, but the delivery knows for which rule it is."""
    token = _current.set(_RuleTarget(rule, target))
    try:
        _invoke_target(target, event, rule, view)
    finally:
        _current.reset(token)


def rule_to_lambda(arn: str, payload: str) -> None:
    """In place of ministack's `_dispatch_to_lambda`."""
    current = _current.get()
    rule_arn = current.rule.get("Arn", "") if current else ""
    base, execution = permissions.function_of(arn)
    if not base or not execution:
        _rule_dead_letter(current, arn, payload, "RESOURCE_NOT_FOUND", f"Function not found: {arn}")
        return
    account = Scope.current().account
    if not permissions.service_may_invoke(base, arn, "events.amazonaws.com", rule_arn, account):
        message = "Lambda failed to invoke the function because it has no permission for this rule"
        _rule_dead_letter(current, arn, payload, "NO_PERMISSIONS", message)
        return
    asynchronous.invoke(execution, json.loads(payload))


def rule_to_bus(
    target: Any, event: dict[str, Any], rule: dict[str, Any], path: set[str], text: str | None = None
) -> None:
    """In place of ministack's `_dispatch_to_event_bus`: it reaches buses of the account's other regions, too.

    The target's role must be EventBridge's to take on and may put events there. What arrives is the event as it was,
    its own account and region included, with an id and a time of its own (recorded). An event to a bus that does not
    exist is dropped without a trace (recorded). A bus of another account is not done.
    """
    here = Scope.current()
    if (target.account_id, target.region) == (here.account, here.region):
        _rule_to_bus(target, event, rule, path, text)
        return
    current = _current.get()
    role = (current.target.get("RoleArn") or "") if current else ""
    payload = json.dumps(eventbridge._pattern_event_view(event).event_with_detail())
    trusted = role and permissions.role_trusts(role, "events.amazonaws.com")
    there = Scope(target.account_id, target.region)
    if not trusted or not permissions.role_may(role, "events:PutEvents", str(target)):
        _rule_dead_letter(current, str(target), payload, "NO_PERMISSIONS", "the target's role may not put events there")
    elif target.account_id == here.account and target.resource != DEFAULT_BUS:
        logger.warning("rule %s: there is no event bus %s", rule.get("Arn"), target)
    elif lost.is_lost(there) or target.account_id != here.account:
        _rule_dead_letter(current, str(target), payload, "RESOURCE_NOT_FOUND", "there is no such event bus")
    else:
        key = eventbridge._rule_key(rule.get("Name"), rule.get("EventBusName", "default"))
        own = {"EventId": new_uuid(), "Time": int(time.time())}
        forwarded = {**event, **own, "EventBusName": "default", "_DispatchPath": [*path, key]}
        TIMERS.after(0.0, lambda: there.run(lambda: _arrive(forwarded)), f"an event forwarded to {target.region}")


def _arrive(event: dict[str, Any]) -> None:
    eventbridge._ensure_default_bus()
    eventbridge._dispatch_event(event)


def _rule_dead_letter(current: _RuleTarget | None, arn: str, payload: str, code: str, message: str) -> None:
    queue = ((current.target.get("DeadLetterConfig") or {}).get("Arn", "")) if current else ""
    rule_arn = current.rule.get("Arn", "") if current else ""
    logger.warning("rule %s could not reach %s: %s", rule_arn, arn, message)
    if not queue:
        return
    if not permissions.service_may_send(queue, "events.amazonaws.com", rule_arn, Scope.current().account):
        logger.error("the policy of %s does not let rule %s send to it: an event is lost", queue, rule_arn)
        return
    attributes = {"RULE_ARN": rule_arn, "TARGET_ARN": arn, "ERROR_CODE": code, "ERROR_MESSAGE": message}
    _send(queue, payload, attributes)


def topic_to_lambda(  # noqa: PLR0917 ministack calls it so
    endpoint: str,
    envelope: str,
    topic_arn: str,
    subscription_arn: str,
    message_id: str,
    raw_message: str,
    message_attributes: dict[str, Any],
) -> None:
    """In place of ministack's `_deliver_to_lambda`."""
    del message_id, raw_message, message_attributes
    base, execution = permissions.function_of(endpoint)
    account = topic_arn.split(":")[4]
    allowed = bool(base) and permissions.service_may_invoke(
        base or {}, endpoint, "sns.amazonaws.com", topic_arn, account
    )
    if not execution or not allowed:
        logger.warning("topic %s could not reach %s", topic_arn, endpoint)
        _topic_dead_letter(topic_arn, subscription_arn, envelope)
        return
    record = {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription_arn,
        "Sns": json.loads(envelope),
    }
    asynchronous.invoke(execution, {"Records": [record]})


def _topic_dead_letter(topic_arn: str, subscription_arn: str, envelope: str) -> None:
    topic = sns._topics.get(topic_arn) or {}
    for subscription in topic.get("subscriptions", []):
        if subscription.get("arn") != subscription_arn:
            continue
        policy = json.loads(subscription.get("attributes", {}).get("RedrivePolicy") or "{}")
        queue = policy.get("deadLetterTargetArn", "")
        if queue and permissions.service_may_send(queue, "sns.amazonaws.com", topic_arn, Scope.current().account):
            _send(queue, envelope, {})


def _send(queue: str, body: str, attributes: dict[str, str]) -> None:
    try:
        queues.send(queue, body, attributes)
    except queues.QueueMissingError:
        logger.exception("the dead-letter queue %s does not exist: an event is lost", queue)
