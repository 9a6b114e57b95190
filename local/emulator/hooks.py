"""The private parts of ministack that the emulator replaces or calls, checked before anything is replaced.

ministack has no way to extend a service, so the glue reaches into names that may change with any release. Hence the
exact pin in requirements/local.in, and this list: a release that moves one of them fails at the start with a sentence,
not in a test with a riddle.
"""

import importlib
from importlib.metadata import version

PINNED = {"ministack": "1.5.33"}

HOOKS = {
    "ministack.app": ("app", "AUTH", "SERVICE_HANDLERS", "_dispatch_service_request", "_routing_params"),
    "ministack.core.concurrency": ("esm_wake", "threading"),
    "ministack.core.iam_actions": (
        "SERVICE_TO_IAM_NAMESPACE",
        "_BOTOCORE_SERVICE_MAP",
        "_lambda_action",
        "access_denied_response",
        "extract_iam_action",
        "extract_resource_arn",
    ),
    "ministack.core.iam_evaluator": (
        "AuthError",
        "EvalContext",
        "EvalResult",
        "_gather_role_policies",
        "_resolve_condition_key",
        "caller_arn",
        "enforce",
        "evaluate",
        "evaluate_resource_policy",
        "parse_policy_document",
        "request_caller_arn",
        "resolve_credential",
    ),
    "ministack.core.lambda_runtime": (
        "Worker",
        "_account_region_from_function_config",
        "_worker_class_for",
        "_workers",
        "execution_credentials",
        "reset",
    ),
    "ministack.core.responses": ("_account_from_sts_session",),
    "ministack.core.router": ("SERVICE_PATTERNS", "detect_service", "extract_access_key_id", "extract_region"),
    "ministack.core.sigv4": ("request_time_failure",),
    "ministack.services.cloudformation.changesets": ("_create_stack_task_in_region", "_evaluate_conditions"),
    "ministack.services.cloudformation.engine": ("CfnLoader", "_evaluate_conditions"),
    "ministack.services.cloudformation.handlers": ("_create_stack_task_in_region", "_evaluate_conditions"),
    "ministack.services.cloudformation.provisioners": ("_RESOURCE_HANDLERS", "_physical_name"),
    "ministack.services.cloudformation.stacks": ("_create_stack_task_in_region", "_evaluate_conditions"),
    "ministack.services.cloudwatch": (
        "_alarms",
        "_dispatch_alarm_actions",
        "_evaluate_alarm",
        "_evaluate_all_alarms",
        "_metrics",
        "_record_history",
        "record_metric",
    ),
    "ministack.services.dynamodb": ("_tables",),
    "ministack.services.ec2": ("_subnets", "handle_request"),
    "ministack.services.eventbridge": (
        "_cron_next_fire",
        "_archive_event",
        "_dispatch_event",
        "_dispatch_to_event_bus",
        "_dispatch_to_lambda",
        "_ensure_default_bus",
        "_invoke_target",
        "_parse_cron_fields",
        "_parse_rate_seconds",
        "_pattern_event_view",
        "_rule_key",
        "_validate_target_arn",
    ),
    "ministack.services.kms": ("_keys", "_aliases", "_describe_key"),
    "ministack.services.lambda_svc": (
        "_ESM_IDLE_WAKE_GAP_SECONDS",
        "_effective_func_record_for_qualifier",
        "_emit_lambda_metrics",
        "_esm_backoff_until",
        "_esm_inflight",
        "_event_invoke_config",
        "_execute_function",
        "_execute_function_dispatch",
        "_execute_function_warm",
        "_execution_record_for_config",
        "_get_base_func_record_for_ref",
        "_get_func_record_for_qualifier",
        "_get_func_record_for_ref",
        "_iter_all_esms",
        "_poll_sqs",
        "_resolve_layer_zip",
        "_sqs_esm_concurrency",
        "_xray_trace_id_for_invocation",
        "acquire_worker",
        "invoke_async_with_retry",
        "release_worker",
    ),
    "ministack.services.iam": ("_roles",),
    "ministack.services.s3": (
        "S3_NS",
        "_ARCHIVE_STORAGE_CLASSES",
        "_bucket_lifecycle",
        "_bucket_object_lock",
        "_bucket_policies",
        "_buckets",
        "_check_object_lock",
        "_copy_object",
        "_delete_object",
        "_delete_object_version",
        "_dispatch",
        "_ensure_bucket",
        "_error",
        "_get_bucket_policy",
        "_get_object",
        "_invalid_object_state",
        "_list_object_versions",
        "_no_such_bucket",
        "_object_record_from_version",
        "_object_tags",
        "_object_versions",
        "_policy_is_public",
        "_qp",
        "_sync_restore",
        "_xml_body",
    ),
    "ministack.services.scheduler": ("_schedules", "_to_epoch", "start_scheduler"),
    "ministack.services.sns": (
        "_deliver_to_lambda",
        "_fanout",
        "_list_subscriptions_by_topic",
        "_matches_filter_policy",
        "_threading",
        "_resolve_message_for_protocol",
        "_topic_by_arn_any_scope",
        "_topics",
        "topic_policy_allows",
    ),
    "ministack.services.sqs": (
        "_ensure_msg_fields",
        "_md5_msg_attrs",
        "_queue_by_arn",
        "_queues",
        "queue_delay",
        "queue_policy_allows",
    ),
    "ministack.services.stepfunctions": (
        "_add_event",
        "_executions",
        "_fail_execution",
        "_run_execution",
        "_start_execution",
        "_state_machines",
        "threading",
    ),
    "ministack.services.sts": ("_sessions",),
}


class MissingHookError(RuntimeError):
    """The installed emulator is not the one this glue was written for."""


def require_hooks() -> None:
    """Assert that the pinned releases are installed and every private part is where it was.

    Raises:
        MissingHookError: naming all that is wrong.
    """
    wrong = [
        f"{package} {version(package)} is installed, {pinned} is needed"
        for package, pinned in PINNED.items()
        if version(package) != pinned
    ]
    for module_name, names in HOOKS.items():
        module = importlib.import_module(module_name)
        wrong += [f"{module_name} has no {name}" for name in names if not hasattr(module, name)]
    if wrong:
        raise MissingHookError(
            "the local AWS reaches into private parts of ministack, and they are not as expected: "
            + "; ".join(wrong)
            + ". Install requirements/local.txt, or adapt local/emulator to the new release."
        )
