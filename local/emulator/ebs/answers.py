"""What the EBS direct APIs answer: JSON, the bytes of a block, and refusals as live accounts gave them."""

import json
from collections.abc import Mapping
from typing import Any

Answer = tuple[int, dict[str, str], bytes]

COMPLAINT = "http://internal.amazon.com/coral/com.amazon.zeppelindataservice/"
STATUS_OF = {
    "AccessDeniedException": 403,
    "ConflictException": 409,
    "InternalServerException": 500,
    "RequestThrottledException": 400,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 402,
    "ValidationException": 400,
}
"""As in botocore's model of the service."""
USUAL_REASON = {
    "RequestThrottledException": "ACCOUNT_THROTTLED",
    "ResourceNotFoundException": "SNAPSHOT_NOT_FOUND",
    "ServiceQuotaExceededException": "DEPENDENCY_SERVICE_QUOTA_EXCEEDED",
}
"""Of a refusal that a test asks for without naming a reason."""


class EbsError(Exception):
    """A refusal.

    Attributes:
        code: such as `ValidationException`.
        message: for people.
        reason: such as `INVALID_BLOCK_TOKEN`; empty where AWS gives none.
        name: of the message in the answer. Values that do not fit the API's model are refused before the service sees
            them, with `message` and no reason (recorded).
    """

    def __init__(self, code: str, message: str, reason: str = "", *, name: str = "Message") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.reason = reason
        self.name = name

    def answer(self) -> Answer:
        """The refusal as it goes out."""
        return refusal(self.code, self.message, self.reason, name=self.name)


def refusal(code: str, message: str, reason: str = "", *, status: int = 0, name: str = "Message") -> Answer:
    """A refusal as it goes out; its status is the code's if none is given."""
    body = {name: message, **({"Reason": reason} if reason else {})}
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": f"{code}:{COMPLAINT}"}
    return status or STATUS_OF.get(code, 400), headers, json.dumps(body).encode()


def asked_for(code: str, message: str, status: int) -> Answer:
    """A refusal that a test has asked for."""
    return refusal(code, message, USUAL_REASON.get(code, ""), status=STATUS_OF.get(code, status))


def listed(found: Mapping[str, Any]) -> Answer:
    """A list; what is not there is null, as in AWS."""
    return 200, {"Content-Type": "application/json"}, json.dumps(found).encode()


def block(content: bytes, checksum: str) -> Answer:
    """The bytes of a block, with their base64 SHA-256 beside them."""
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(len(content)),
        "x-amz-Data-Length": str(len(content)),
        "x-amz-Checksum": checksum,
        "x-amz-Checksum-Algorithm": "SHA256",
    }
    return 200, headers, content


def not_found(*snapshot_ids: str) -> EbsError:
    """There is no such snapshot, the caller may not see it, it is not completed, or not readable yet."""
    named = " or ".join(f"'{snapshot_id}'" for snapshot_id in snapshot_ids)
    return EbsError("ResourceNotFoundException", f"The snapshot {named} does not exist.", "SNAPSHOT_NOT_FOUND")


def invalid(reason: str, message: str) -> EbsError:
    """The service cannot do what was asked."""
    return EbsError("ValidationException", message, reason)


def unfit(value: object, name: str, constraint: str) -> EbsError:
    """A value that the API's model does not admit."""
    return EbsError(
        "ValidationException",
        f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: Member must "
        f"{constraint}",
        name="message",
    )
