"""CloudFormation: resource types that ministack lacks, accepted and recorded without effect; and names of resources."""

import hashlib
import time
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

import yaml
from ministack.services import s3, scheduler
from ministack.services.cloudformation import engine

from local.emulator.activity import ACTIVITY, CHANGED
from local.emulator.clock import CLOCK
from local.emulator.scope import Scope


class TemplateLoader(yaml.CSafeLoader):
    """ministack's loader of templates on libyaml's parser, which reads ours in a tenth of the time of one in Python."""

    yaml_constructors = engine.CfnLoader.yaml_constructors
    yaml_implicit_resolvers = engine.CfnLoader.yaml_implicit_resolvers


SUFFIX = 13
"""How many characters of a resource's name ministack makes of the stack's name and the logical id."""

RECORDED: dict[str, dict[str, Any]] = {}
"""Physical id to the type and properties of every resource that was accepted this way."""


def _recorded(resource_type: str, attributes: tuple[str, ...]) -> dict[str, Any]:
    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
        physical = uuid.uuid5(uuid.NAMESPACE_URL, f"{stack_name}/{logical_id}").hex
        RECORDED[physical] = {"type": resource_type, "properties": properties, "stack": stack_name}
        arn = f"arn:aws:{resource_type.split('::')[1].lower()}:::{physical}"
        return physical, {name: arn if name == "Arn" else physical for name in attributes}

    def update(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str, *rest: Any
    ) -> tuple[str, dict[str, Any]]:
        del old, rest
        RECORDED[physical_id] = {"type": resource_type, "properties": new, "stack": stack_name}
        arn = f"arn:aws:{resource_type.split('::')[1].lower()}:::{physical_id}"
        return physical_id, {name: arn if name == "Arn" else physical_id for name in attributes}

    def delete(physical_id: str, *rest: Any) -> None:
        del rest
        RECORDED.pop(physical_id, None)

    return {"create": create, "update": update, "delete": delete}


ACCEPTED = {
    "AWS::Rbin::Rule": _recorded("AWS::Rbin::Rule", ("Arn", "Identifier")),
    "AWS::EC2::SnapshotBlockPublicAccess": _recorded("AWS::EC2::SnapshotBlockPublicAccess", ("AccountId",)),
    "AWS::CloudWatch::CompositeAlarm": _recorded("AWS::CloudWatch::CompositeAlarm", ("Arn",)),
    "AWS::Backup::BackupSelection": _recorded("AWS::Backup::BackupSelection", ("Id",)),
}


LONGEST_FUNCTION_NAME = 64
"""https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html"""


def checked_function(create: Callable[..., Any]) -> Callable[..., Any]:
    """In place of ministack's creation of `AWS::Lambda::Function`: a name too long is refused as by Lambda."""

    def create_function(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        name = properties.get("FunctionName", "")
        if len(name) > LONGEST_FUNCTION_NAME:
            raise ValueError(
                f"1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: "
                f"Member must have length less than or equal to {LONGEST_FUNCTION_NAME}"
            )
        return create(logical_id, properties, stack_name)

    return create_function


SCHEDULE_LEFT_OUT = ("ScheduleExpressionTimezone", "StartDate", "EndDate", "ActionAfterCompletion")
"""Properties of a schedule that ministack's CloudFormation leaves out: without the first all of them are in UTC."""


def whole_schedules(handlers: dict[str, Any]) -> dict[str, Any]:
    """In place of ministack's handlers of `AWS::Scheduler::Schedule`: the same, and no property is left out."""

    def completed(name: str, properties: dict[str, Any]) -> None:
        schedule = scheduler._schedules.get(f"{properties.get('GroupName', 'default')}/{name}")
        if schedule is not None:
            schedule.update({key: properties[key] for key in SCHEDULE_LEFT_OUT if key in properties})
            schedule["LastModificationDate"] = time.time()

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
        name, attributes = handlers["create"](logical_id, properties, stack_name)
        completed(name, properties)
        return name, attributes

    def update(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str
    ) -> tuple[str, dict[str, Any]]:
        name, attributes = handlers["update"](physical_id, old, new, stack_name)
        completed(name, new)
        return name, attributes

    return {**handlers, "create": create, "update": update}


type Conditions = Callable[[dict[str, Any], dict[str, Any]], dict[str, bool]]


def full_conditions(evaluate: Conditions) -> Conditions:
    """In place of ministack's: a condition may join texts or a list, and ask for region and partition, as in AWS.

    ministack takes a Join for true, and `AWS::Region` or `AWS::Partition` for one of that name.
    """

    def evaluate_conditions(template: dict[str, Any], parameters: dict[str, Any]) -> dict[str, bool]:
        return evaluate({**template, "Conditions": _plainer(template.get("Conditions", {}), parameters)}, parameters)

    return evaluate_conditions


def _plainer(value: Any, parameters: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_plainer(item, parameters) for item in value]
    if not isinstance(value, dict):
        return value
    if value == {"Ref": "AWS::Partition"}:
        return "aws"
    if value == {"Ref": "AWS::Region"}:
        return Scope.current().region
    if "Fn::Join" in value:
        between, parts = value["Fn::Join"]
        if isinstance(parts, dict):  # a list parameter is one text here
            return between.join(part.strip() for part in str(_parameter(parts, parameters)).split(","))
        return between.join(str(_parameter(part, parameters)) for part in parts)
    return {name: _plainer(item, parameters) for name, item in value.items()}


def _parameter(value: Any, parameters: dict[str, Any]) -> Any:
    return parameters[value["Ref"]]["Value"] if isinstance(value, dict) else value


def names_by_scope(named: Callable[..., str]) -> Callable[..., str]:
    """Names that differ between accounts and regions, too.

    ministack's do not, and IAM's roles belong to the whole account: the second stack of a name, in another region,
    would take over the roles of the first. AWS's suffixes are random.
    """

    def physical_name(stack_name: str, logical_id: str, **more: Any) -> str:
        name = named(stack_name, logical_id, **more)
        scope = Scope.current()
        suffix = hashlib.sha256(f"{scope.account}/{scope.region}/{name[-SUFFIX:]}".encode()).hexdigest()[:SUFFIX]
        return name[:-SUFFIX] + (suffix if name == name.lower() else suffix.upper())

    return physical_name


def counted(create_task: Callable[..., None]) -> Callable[..., None]:
    """In place of ministack's `_create_stack_task_in_region`: the same, and what happens to the stack is under way."""

    def create(work: Coroutine[Any, Any, None], stack: Any, stack_id: str | None = None) -> None:
        number, _work = ACTIVITY.begin("a stack is made")
        if CLOCK.simulated:  # SAM CLI waits for an event later than the last one it knows
            with CHANGED:
                CLOCK.move_to(CLOCK.now() + 1)

        async def count() -> None:
            try:
                await work
            finally:
                ACTIVITY.end(number)

        create_task(count(), stack, stack_id)

    return create


def let_buckets_lock(handlers: dict[str, Any]) -> None:
    """Let the creation of `AWS::S3::Bucket` have `ObjectLockEnabled`, which ministack leaves out."""
    create = handlers["create"]

    def create_bucket(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        name, attributes = create(logical_id, properties, stack_name)
        if str(properties.get("ObjectLockEnabled")).lower() == "true":
            s3._bucket_object_lock[name] = {"enabled": True, "default_retention": None}
        return name, attributes

    handlers["create"] = create_bucket
