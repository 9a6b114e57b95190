"""The endpoint of the EBS direct APIs: REST with JSON, and the bytes of a block as they are."""

import logging
import re
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import new_uuid

from local.emulator.ebs import answers, quotas, reads
from local.emulator.ebs.answers import Answer, EbsError
from local.emulator.ec2.model import LOCK, Request
from local.emulator.scope import Scope

logger = logging.getLogger("local.ebs")

ROUTES = (
    ("ListSnapshotBlocks", re.compile(r"/snapshots/(?P<snapshotId>[^/]*)/blocks/?")),
    ("ListChangedBlocks", re.compile(r"/snapshots/(?P<secondSnapshotId>[^/]*)/changedblocks/?")),
    ("GetSnapshotBlock", re.compile(r"/snapshots/(?P<snapshotId>[^/]*)/blocks/(?P<blockIndex>[^/]+)")),
)
SIGNED_AS = "ebs"
PATTERNS = {"host_patterns": [r"^ebs\."]}
"""How ministack's router knows a request."""


def route(method: str, path: str) -> tuple[str, dict[str, str]]:
    """The operation of a request, and the parameters in its path; nothing if it is none of these."""
    for operation, pattern in ROUTES if method == "GET" else ():
        found = pattern.fullmatch(path)
        if found:
            return operation, found.groupdict()
    return "", {}


async def handle_request(
    method: str, path: str, _headers: dict[str, str], _body: bytes, query: dict[str, Any]
) -> Answer:
    """Answer a request, IAM having had its say."""
    operation, parameters = route(method, path)
    if not operation:
        message = f"The local AWS reads snapshots only: {method} {path} is not done here."
        return answers.refusal("UnknownOperationException", message, status=404)
    parameters |= reads.values_of(query)
    request = Request(Scope.current(), operation, parameters, new_uuid(), iam_evaluator.caller_arn())
    try:
        quotas.take(request.scope, operation, parameters.get("snapshotId", ""))
        with LOCK:
            return reads.OPERATIONS[operation](request)
    except EbsError as error:
        return error.answer()
    except Exception:
        logger.exception("%s failed with %s", operation, parameters)
        return answers.refusal("InternalServerException", f"The local AWS failed at {operation}; see its log.")
