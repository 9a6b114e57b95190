"""The endpoint of the EBS direct APIs: REST with JSON, and the bytes of a block as they are."""

import logging
import re
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import new_uuid

from local.emulator.ebs import answers, quotas, reads, writes
from local.emulator.ebs.answers import Answer, EbsError
from local.emulator.ec2.model import LOCK, Request
from local.emulator.scope import Scope

logger = logging.getLogger("local.ebs")

BLOCK = re.compile(r"/snapshots/(?P<snapshotId>[^/]*)/blocks/(?P<blockIndex>[^/]+)")
ROUTES = (
    ("GET", "ListSnapshotBlocks", re.compile(r"/snapshots/(?P<snapshotId>[^/]*)/blocks/?")),
    ("GET", "ListChangedBlocks", re.compile(r"/snapshots/(?P<secondSnapshotId>[^/]*)/changedblocks/?")),
    ("GET", "GetSnapshotBlock", BLOCK),
    ("PUT", "PutSnapshotBlock", BLOCK),
    ("POST", "CompleteSnapshot", re.compile(r"/snapshots/completion/(?P<snapshotId>[^/]*)")),
    ("POST", "StartSnapshot", re.compile(r"/snapshots/?")),
)
OPERATIONS = {**reads.OPERATIONS, **writes.OPERATIONS}
SIGNED_AS = "ebs"
PATTERNS = {"host_patterns": [r"^ebs\."]}
"""How ministack's router knows a request."""


def route(method: str, path: str) -> tuple[str, dict[str, str]]:
    """The operation of a request, and the parameters in its path; nothing if it is none of these."""
    for of_method, operation, pattern in ROUTES:
        found = pattern.fullmatch(path)
        if found and method == of_method:
            return operation, found.groupdict()
    return "", {}


async def handle_request(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer:
    """Answer a request, IAM having had its say."""
    operation, parameters = route(method, path)
    if not operation:
        message = f"{method} {path} is no operation of the EBS direct APIs."
        return answers.refusal("UnknownOperationException", message, status=404)
    given: dict[str, Any] = {**parameters, **reads.values_of(query)}
    if operation in writes.OPERATIONS:
        given |= {name.lower(): value for name, value in headers.items() if name.lower().startswith("x-amz-")}
        given["body"] = body
    request = Request(Scope.current(), operation, given, new_uuid(), iam_evaluator.caller_arn())
    try:
        quotas.take(request.scope, operation, parameters.get("snapshotId", ""))
        with LOCK:
            return OPERATIONS[operation](request)
    except EbsError as error:
        return error.answer()
    except Exception:
        logger.exception("%s failed with %s", operation, parameters)
        return answers.refusal("InternalServerException", f"The local AWS failed at {operation}; see its log.")
