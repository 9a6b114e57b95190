"""Images and the evidence about them, for the tests of the verdict."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from lifeboat.ami.verdict import MAX_ANCESTRY
from lifeboat.domain.image import ImageAncestor, ImageEvidence

VENDOR = "055430919509"
VENDOR_GOVCLOUD = "155430919509"
AMAZON_OWNER = "137112412989"
MARKETPLACE_OWNER = "679593333241"
CUSTOMER = "111122223333"
STRANGER = "999988887777"

IMAGE = "ami-0123456789abcdef0"
VENDORS_IMAGE = "ami-0aaaaaaaaaaaaaaaa"
CLONE = "ami-0cccccccccccccccc"
INSTANCE = "i-0123456789abcdef0"
PRODUCT = "3iplms73etrdhxdepv72l6ywj"
WATERMARK = f"{VENDOR}:forensics"

OF_VENDOR = ImageEvidence(
    IMAGE, owner_id=VENDOR, name="CadoResponse_v2.99.0", state="available", public=True, ancestry_known=False
)
OF_CUSTOMER = ImageEvidence(IMAGE, owner_id=CUSTOMER, state="available", public=False)
DESCENT = (ImageAncestor(IMAGE), ImageAncestor(VENDORS_IMAGE, VENDOR))
COPY = replace(OF_CUSTOMER, source_image_id=VENDORS_IMAGE, ancestors=DESCENT, ancestry_known=True)
CLONED = replace(OF_CUSTOMER, source_instance_id=INSTANCE, ancestors=DESCENT, ancestry_known=True)
OF_MARKETPLACE = ImageEvidence(
    IMAGE, owner_id=MARKETPLACE_OWNER, owner_alias="aws-marketplace", product_codes=(PRODUCT,)
)
NOTHING = ImageEvidence(IMAGE)

NO_RIGHTS = "DescribeInstanceImageMetadata: UnauthorizedOperation: You are not authorized to perform this operation."
THROTTLED = "DescribeInstanceImageMetadata: RequestLimitExceeded: Request limit exceeded."
NO_ANSWER = "DescribeInstanceImageMetadata: ReadTimeoutError: Read timeout on endpoint URL"
NO_RIGHTS_TO_ANCESTRY = "GetImageAncestry: UnauthorizedOperation: You are not authorized to perform this operation."

LONG_DESCENT = (ImageAncestor(IMAGE), *(ImageAncestor(f"ami-{n:017x}") for n in range(1, MAX_ANCESTRY)))

TRUST_VENDOR: dict[str, Collection[str]] = {"trusted_owners": [VENDOR]}
