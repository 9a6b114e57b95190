"""Put the glue in the places of ministack's parts. Which they are, and that they exist, is checked in `hooks.py`."""

from ministack import app as ministack_app
from ministack.core import concurrency, iam_actions, iam_evaluator, lambda_runtime, router, sigv4
from ministack.services import cloudwatch, eventbridge, kms, lambda_svc, scheduler, sns
from ministack.services import ec2 as ministack_ec2
from ministack.services.cloudformation import changesets, engine, provisioners, stacks
from ministack.services.cloudformation import handlers as stack_calls

from local.emulator import (
    activity,
    alarms,
    asynchronous,
    bus_targets,
    cloudformation,
    delivery,
    executions,
    gateway,
    iam,
    invocations,
    lambda_rights,
    mail,
    managed_keys,
    queues,
    subscriptions,
    workers,
)
from local.emulator import scheduler as our_scheduler
from local.emulator.clock import CLOCK
from local.emulator.ebs import endpoint as ebs
from local.emulator.ebs import rights
from local.emulator.ec2 import endpoint
from local.emulator.invocations import INVOCATIONS
from local.emulator.s3 import install as our_s3
from local.emulator.timers import TIMERS


def install() -> None:
    """Replace what ministack lacks or does otherwise than AWS, and start what runs in the background."""
    evaluate_conditions = cloudformation.full_conditions(engine._evaluate_conditions)
    ministack_app._dispatch_service_request = gateway.dispatch
    ministack_ec2.handle_request = endpoint.handle_request
    _enter_ebs()
    our_s3.install()

    iam_actions.extract_resource_arn = iam.extract_resource_arn
    _correct_reads()
    iam_evaluator.enforce = iam.enforce
    iam_evaluator._resolve_condition_key = iam.resolve_condition_key
    iam_evaluator.parse_policy_document = iam.parse_policy_document
    iam_evaluator.request_caller_arn = iam.request_caller_arn

    lambda_runtime._worker_class_for = workers.worker_class_for
    lambda_svc._execute_function_warm = workers.execute
    lambda_svc._execute_function_dispatch = invocations.dispatch
    lambda_svc._emit_lambda_metrics = invocations.measure_throttle
    lambda_svc.invoke_async_with_retry = asynchronous.invoke

    eventbridge._invoke_target = delivery.invoke_target
    eventbridge._dispatch_to_lambda = delivery.rule_to_lambda
    eventbridge._dispatch_to_event_bus = delivery.rule_to_bus
    eventbridge._validate_target_arn = bus_targets.validated(eventbridge._validate_target_arn)
    _deliver_messages()

    scheduler.start_scheduler = our_scheduler.start
    executions.install()
    sns._threading = concurrency.threading = activity.CountedThreading()
    lambda_svc._poll_sqs = queues.poll_counted
    lambda_svc._ESM_IDLE_WAKE_GAP_SECONDS = 0.0
    for calls in (changesets, stack_calls, stacks):  # each has the name for itself
        calls._create_stack_task_in_region = cloudformation.counted(calls._create_stack_task_in_region)
    if CLOCK.simulated:  # who asks from outside signs by the machine's clock, and is neither late nor early
        sigv4.request_time_failure = lambda *_, **__: None
    TIMERS.busy += [INVOCATIONS.stirring, queues.under_way]
    queues.start()
    TIMERS.start()
    cloudwatch._evaluate_alarm = alarms.evaluate
    cloudwatch._evaluate_all_alarms = alarms.evaluate_all
    cloudwatch._dispatch_alarm_actions = alarms.dispatch_actions
    alarms.start()

    for module in (engine, changesets, stack_calls, stacks):  # each has the name for itself
        module._evaluate_conditions = evaluate_conditions
    engine.CfnLoader = cloudformation.TemplateLoader
    provisioners._physical_name = cloudformation.names_by_scope(provisioners._physical_name)
    rules = provisioners._RESOURCE_HANDLERS["AWS::Events::Rule"]
    rules["create"] = bus_targets.checked_rule(rules["create"])
    functions = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]
    functions["create"] = cloudformation.checked_function(functions["create"])
    watched = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::Alarm"]
    watched["create"] = alarms.on_one_metric(watched["create"], properties_at=1)
    watched["update"] = alarms.on_one_metric(watched["update"], properties_at=2)
    schedule = provisioners._RESOURCE_HANDLERS["AWS::Scheduler::Schedule"]
    provisioners._RESOURCE_HANDLERS["AWS::Scheduler::Schedule"] = cloudformation.whole_schedules(schedule)
    for resource_type, handlers in cloudformation.ACCEPTED.items():
        provisioners._RESOURCE_HANDLERS.setdefault(resource_type, handlers)


def _deliver_messages() -> None:
    """Let a topic reach functions and mailboxes."""
    sns._deliver_to_lambda = delivery.topic_to_lambda
    sns._fanout = mail.fan_out


def _correct_reads() -> None:
    """Replace what ministack answers, or asks rights for, otherwise than AWS where a stack's parts are read."""
    iam_actions._lambda_action = lambda_rights.whole(iam_actions._lambda_action)
    kms._describe_key = managed_keys.described(kms._describe_key)
    sns._list_subscriptions_by_topic = subscriptions.listed(sns._list_subscriptions_by_topic)


def _enter_ebs() -> None:
    """Make known a service that ministack does not have."""
    name = ebs.SIGNED_AS
    ministack_app.SERVICE_HANDLERS[name] = ebs.handle_request
    router.SERVICE_PATTERNS[name] = ebs.PATTERNS
    iam_actions.SERVICE_TO_IAM_NAMESPACE[name] = name
    iam_actions._BOTOCORE_SERVICE_MAP[name] = [name]
    iam.CHECKS_OF[name] = rights.checks


def remove_workers() -> None:
    """Kill the Lambda workers and remove what they unpacked."""
    workers.remove()
