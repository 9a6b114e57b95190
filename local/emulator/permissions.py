"""May a service, or a role that a service took on, do this? The rights that no signed request carries."""

from typing import Any

from ministack import app as ministack_app
from ministack.core import iam_evaluator
from ministack.services import lambda_svc, sqs

from local.emulator.scope import Scope


def role_may(role_arn: str, action: str, resource: str) -> bool:
    """Whether a role's own policies allow an action on a resource; always, if IAM is not enforced."""
    if not ministack_app.AUTH:
        return True
    account = role_arn.split(":")[4]
    context = iam_evaluator.EvalContext(
        principal_arn=role_arn,
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=Scope.current().region,
    )
    policies = iam_evaluator._gather_role_policies(role_arn.rsplit("/", 1)[-1], account)
    return bool(iam_evaluator.evaluate(context, policies).decision == "Allow")


def role_trusts(role_arn: str, service: str) -> bool:
    """Whether a service may take on a role."""
    if not ministack_app.AUTH:
        return True
    from ministack.services import iam

    role = iam._roles.get_scoped(role_arn.split(":")[4], None, role_arn.rsplit("/", 1)[-1])
    if role is None:
        return False
    document = role.get("AssumeRolePolicyDocument")
    return _service_allowed(document, "sts:AssumeRole", "*", service, source_arn="", account=role_arn.split(":")[4])


def service_may_invoke(function: dict[str, Any], target_arn: str, service: str, source_arn: str, account: str) -> bool:
    """Whether the function's resource policy lets a service invoke it (`lambda:AddPermission`)."""
    if not ministack_app.AUTH:
        return True
    return _service_allowed(
        function.get("policy"), "lambda:InvokeFunction", target_arn, service, source_arn=source_arn, account=account
    )


def service_may_send(queue_arn: str, service: str, source_arn: str, account: str) -> bool:
    """Whether the queue's policy lets a service put messages on it."""
    return bool(sqs.queue_policy_allows(queue_arn, service, source_arn, account))


def function_of(target_arn: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """A function's record and the configuration of the version that an ARN names; nothing if there is none."""
    base, _config, _name = lambda_svc._get_base_func_record_for_ref(target_arn)
    record, config, _name = lambda_svc._get_func_record_for_ref(target_arn)
    if not base or not record or not config:
        return None, None
    return base, lambda_svc._execution_record_for_config(record, config)


def _service_allowed(document: Any, action: str, resource: str, service: str, *, source_arn: str, account: str) -> bool:
    context = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource,
        region=Scope.current().region,
        service_context={
            "aws:sourcearn": source_arn or None,
            "aws:sourceaccount": account,
        },
    )
    return bool(iam_evaluator.evaluate_resource_policy(document, context, service=service).decision == "Allow")
