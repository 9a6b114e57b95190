"""EC2's endpoint: parse a call, find who does it, and answer in EC2's XML whatever happens."""

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import new_uuid
from ministack.services import ec2 as ministack_ec2

from local.emulator.ec2 import images, instances, snapshots, tags, volumes, wire  # noqa: F401 they enter their actions
from local.emulator.ec2.actions import ACTIONS
from local.emulator.ec2.errors import Ec2Error
from local.emulator.ec2.model import LOCK, Request
from local.emulator.scope import Scope

logger = logging.getLogger("local.ec2")

NETWORK = re.compile(
    r"Vpc|Subnet|SecurityGroup|RouteTable|InternetGateway|KeyPair|AvailabilityZones|Regions|Address|NetworkInterface"
    r"|LaunchTemplate|NatGateway|DhcpOptions|NetworkAcl|InstanceTypes|AccountAttributes"
)
OURS = re.compile(r"^(vol|snap|i|ami)-")

VALUES: Mapping[str, Callable[[Request], object]] = {
    "CreateVolume": volumes.check_values,
    "CopySnapshot": snapshots.check_values,
    "RunInstances": instances.check_values,
}
"""What EC2 checks of a call's values before it answers a DryRun; other calls' ids come after."""

_network = ministack_ec2.handle_request


async def handle_request(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> tuple[int, dict[str, str], bytes]:
    """In place of ministack's: answer a call, always in EC2's XML."""
    request_id = new_uuid()
    flat = wire.flat(body, query)
    action = flat.get("Action", "")
    try:
        if action not in ACTIONS or (action in ("CreateTags", "DeleteTags") and not _ours(flat)):
            if not (NETWORK.search(action) or action in ("CreateTags", "DeleteTags")):
                raise Ec2Error("InvalidAction", f"The action {action} is not valid for this web service.")
            status, answer_headers, content = await _network(method, path, headers, body, query)
            return status, answer_headers, content
        return 200, {"Content-Type": "text/xml;charset=UTF-8"}, _answer(action, flat, request_id)
    except Ec2Error as error:
        return error.status, {"Content-Type": "text/xml;charset=UTF-8"}, wire.render_error(error, request_id)
    except Exception:
        logger.exception("%s failed with %s", action, flat)
        error = Ec2Error("InternalError", f"The local AWS failed at {action}; see its log.", 500)
        return 500, {"Content-Type": "text/xml;charset=UTF-8"}, wire.render_error(error, request_id)


def _ours(flat: Mapping[str, str]) -> bool:
    return all(OURS.match(value) for name, value in flat.items() if name.startswith("ResourceId."))


def _answer(action: str, flat: Mapping[str, str], request_id: str) -> bytes:
    operation = wire.operation(action)
    if operation is None:
        raise Ec2Error("InvalidAction", f"The action {action} is not valid for this web service.")
    parameters = wire.parse(operation, flat)
    dry_run = parameters.pop("DryRun", False)
    request = Request(Scope.current(), action, parameters, request_id, iam_evaluator.caller_arn())
    with LOCK:
        if dry_run:
            # IAM has had its say before this is reached; on AWS the values of the first two come even before IAM.
            VALUES.get(action, lambda _: None)(request)
            raise Ec2Error("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
        return wire.render(operation, ACTIONS[action](request), request_id)
