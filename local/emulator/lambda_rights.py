"""The rights that Lambda asks for, where ministack asks for another one
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html)."""

from collections.abc import Callable

type Action = Callable[[str, str], str | None]

CONCURRENCY = {"GET": "GetFunctionConcurrency", "DELETE": "DeleteFunctionConcurrency", "PUT": "PutFunctionConcurrency"}


def whole(action_of: Action) -> Action:
    """In place of ministack's: the same, but a read of a function's concurrency, or of one mapping, is a read."""

    def action(method: str, path: str) -> str | None:
        parts = [part for part in path.split("/") if part]
        if parts[-1:] == ["concurrency"]:
            return CONCURRENCY.get(method)
        if method == "GET" and parts[-2:-1] == ["event-source-mappings"]:
            return "GetEventSourceMapping"
        return action_of(method, path)

    return action
