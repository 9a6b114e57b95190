"""Answers of S3 that ministack lacks or gets wrong: GetBucketPolicyStatus, whose the bucket is, the next page."""

from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from ministack.core.responses import get_account_id
from ministack.services import s3

from local.emulator.s3.archives import Answer

_list_object_versions = s3._list_object_versions
EXPECTED_OWNER = "x-amz-expected-bucket-owner"


def dispatched(dispatch: Callable[..., Any]) -> Callable[..., Answer]:
    """A dispatch that answers the first two, and leaves the rest to the one before."""

    def answer(  # noqa: PLR0917 ministack calls it so
        method: str, bucket: str, key: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Answer:
        expected = headers.get(EXPECTED_OWNER)
        # The bucket's owner is the account of the request by now.
        if expected and bucket in s3._buckets and expected != get_account_id():
            return _plain(s3._error("AccessDenied", "Access Denied", 403, f"/{bucket}"))
        if method == "GET" and bucket and not key and "policyStatus" in query:
            return _policy_status(bucket)
        return _plain(dispatch(method, bucket, key, headers, body, query))

    return answer


def list_object_versions(bucket: str, query: dict[str, Any]) -> Answer:
    """In place of ministack's, whose next page begins with the last key of the one before where it has no versions."""
    key, version_id = s3._qp(query, "key-marker", ""), s3._qp(query, "version-id-marker", "")
    if version_id == "null" and not s3._object_versions.get((bucket, key)):
        query = {name: value for name, value in query.items() if name != "version-id-marker"}
    return _plain(_list_object_versions(bucket, query))


def _policy_status(bucket: str) -> Answer:
    policy = s3._bucket_policies.get(bucket)
    if bucket not in s3._buckets or not policy:
        return _plain(s3._get_bucket_policy(bucket))
    root = Element("PolicyStatus", xmlns=s3.S3_NS)
    SubElement(root, "IsPublic").text = str(s3._policy_is_public(policy)).lower()
    return 200, {"Content-Type": "application/xml"}, s3._xml_body(root)


def _plain(answer: Any) -> Answer:
    status, headers, body = answer
    return status, headers, body
