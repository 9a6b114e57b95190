"""What EventBridge refuses of a rule's target that is an event bus, whoever puts it: a call, or CloudFormation.

Recorded from a live account (tests/fixtures/captures/eventbridge_bus_target_retry_policy.json). ministack takes it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ministack.core.responses import error_response_json

type Answer = tuple[int, dict[str, str], bytes]

RETRY_POLICY = "Retry policy is not supported for Event bus targets."
INPUTS = ("Input", "InputPath", "InputTransformer")


def refusal(target: Mapping[str, Any]) -> str:
    """Why EventBridge does not take a target, in its words; nothing if it does."""
    parts = str(target.get("Arn", "")).split(":", 5)
    if parts[2:3] != ["events"] or not parts[-1].startswith("event-bus/"):
        return ""
    if target.get("RetryPolicy"):
        return RETRY_POLICY
    # That these are refused is recorded, the words are not.
    if not target.get("RoleArn"):
        return f"RoleArn is required for target {target['Arn']}."
    return next((f"{name} is not supported for Event bus targets." for name in INPUTS if target.get(name)), "")


def validated(validate: Callable[[Mapping[str, Any]], Answer | None]) -> Callable[[Mapping[str, Any]], Answer | None]:
    """In place of ministack's check of a target that PutTargets is given."""

    def validate_target(target: Mapping[str, Any]) -> Answer | None:
        why = refusal(target)
        return error_response_json("ValidationException", why, 400) if why else validate(target)

    return validate_target


def checked_rule(create: Callable[..., Any]) -> Callable[..., Any]:
    """In place of ministack's AWS::Events::Rule, which puts the targets of a new rule unchecked."""

    def create_rule(logical_id: str, properties: Mapping[str, Any], stack_name: str, *rest: Any) -> Any:
        targets: Sequence[Mapping[str, Any]] = properties.get("Targets") or []
        for why in filter(None, map(refusal, targets)):
            raise ValueError(f"ValidationException: {why}")
        return create(logical_id, properties, stack_name, *rest)

    return create_rule
