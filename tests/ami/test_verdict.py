"""The verdict on an image: every way an image can have come to be, and every way not to know it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lifeboat.ami.verdict import verdict
from lifeboat.domain.image import ImageAncestor, ImageEvidence
from tests.ami.images import (
    AMAZON_OWNER,
    CLONE,
    CLONED,
    COPY,
    CUSTOMER,
    DESCENT,
    IMAGE,
    INSTANCE,
    LONG_DESCENT,
    MARKETPLACE_OWNER,
    NO_RIGHTS,
    NO_RIGHTS_TO_ANCESTRY,
    NOTHING,
    OF_CUSTOMER,
    OF_MARKETPLACE,
    OF_VENDOR,
    PRODUCT,
    STRANGER,
    TRUST_VENDOR,
    VENDOR,
    VENDOR_GOVCLOUD,
    VENDORS_IMAGE,
    WATERMARK,
)


@pytest.mark.parametrize(
    ("evidence", "trusting", "trust", "code"),
    [
        # images of the trusted owner
        pytest.param(OF_VENDOR, TRUST_VENDOR, "trusted", "vendor-owned", id="vendor"),
        pytest.param(
            replace(OF_VENDOR, state="deregistered", public=None),
            TRUST_VENDOR,
            "trusted",
            "vendor-owned",
            id="vendor-deregistered",
        ),
        pytest.param(replace(OF_VENDOR, public=False), TRUST_VENDOR, "trusted", "vendor-owned", id="vendor-private"),
        pytest.param(
            replace(OF_VENDOR, problems=(NO_RIGHTS_TO_ANCESTRY,)),
            TRUST_VENDOR,
            "trusted",
            "vendor-owned",
            id="vendor-ancestry-not-allowed",
        ),
        pytest.param(
            replace(OF_VENDOR, source_instance_id=INSTANCE),
            TRUST_VENDOR,
            "trusted",
            "vendor-owned",
            id="vendor-builds-images-from-instances",
        ),
        pytest.param(
            replace(OF_VENDOR, owner_id=VENDOR_GOVCLOUD),
            {"trusted_owners": [VENDOR, VENDOR_GOVCLOUD]},
            "trusted",
            "vendor-owned",
            id="govcloud-owner-on-the-list",
        ),
        pytest.param(
            replace(OF_VENDOR, owner_id=VENDOR_GOVCLOUD),
            TRUST_VENDOR,
            "untrusted",
            "untrusted-owner",
            id="govcloud-owner-not-on-the-list",
        ),
        pytest.param(
            replace(CLONED, owner_id=CUSTOMER),
            {"trusted_owners": [VENDOR, CUSTOMER]},
            "trusted",
            "vendor-owned",
            id="own-account-on-the-list-trusts-its-clones-too",
        ),
        pytest.param(
            ImageEvidence(IMAGE, owner_id=AMAZON_OWNER, owner_alias="amazon"),
            {"trusted_owners": ["amazon"]},
            "trusted",
            "amazon-owned",
            id="amazon-by-alias",
        ),
        pytest.param(
            ImageEvidence(IMAGE, owner_id=AMAZON_OWNER, owner_alias="amazon"),
            TRUST_VENDOR,
            "untrusted",
            "untrusted-owner",
            id="amazon-not-on-the-list",
        ),
        # images of another owner
        pytest.param(
            replace(OF_VENDOR, owner_id=STRANGER), TRUST_VENDOR, "untrusted", "untrusted-owner", id="vendors-name-only"
        ),
        pytest.param(
            replace(OF_CUSTOMER, ancestors=(ImageAncestor(IMAGE),), ancestry_known=True),
            TRUST_VENDOR,
            "untrusted",
            "untrusted-owner",
            id="root-of-a-customer",
        ),
        pytest.param(OF_CUSTOMER, TRUST_VENDOR, "untrusted", "untrusted-owner", id="registered-without-ancestry"),
        pytest.param(
            replace(OF_CUSTOMER, problems=(NO_RIGHTS_TO_ANCESTRY,)),
            TRUST_VENDOR,
            "untrusted",
            "untrusted-owner",
            id="customer-ancestry-not-allowed",
        ),
        pytest.param(
            replace(OF_CUSTOMER, ancestors=LONG_DESCENT, ancestry_known=True),
            TRUST_VENDOR,
            "untrusted",
            "ancestry-cut",
            id="ancestry-cut-at-50",
        ),
        pytest.param(
            replace(
                OF_CUSTOMER,
                ancestors=(*LONG_DESCENT[:-1], ImageAncestor(LONG_DESCENT[-1].image_id, None, "aws-marketplace")),
                ancestry_known=True,
            ),
            TRUST_VENDOR,
            "untrusted",
            "untrusted-owner",
            id="ancestry-of-50-with-its-root",
        ),
        pytest.param(
            replace(
                OF_CUSTOMER,
                ancestors=(*LONG_DESCENT[:-1], ImageAncestor(VENDORS_IMAGE, VENDOR)),
                ancestry_known=True,
            ),
            TRUST_VENDOR,
            "untrusted",
            "copy-of-trusted",
            id="ancestry-of-50-that-reaches-the-vendor",
        ),
        # copies
        pytest.param(COPY, TRUST_VENDOR, "untrusted", "copy-of-trusted", id="copy"),
        pytest.param(
            replace(COPY, ancestors=(ImageAncestor(IMAGE), ImageAncestor(CLONE, CUSTOMER), *DESCENT[1:])),
            TRUST_VENDOR,
            "untrusted",
            "copy-of-trusted",
            id="copy-of-a-copy",
        ),
        pytest.param(
            replace(COPY, state="deregistered"), TRUST_VENDOR, "untrusted", "copy-of-trusted", id="copy-deregistered"
        ),
        pytest.param(
            replace(COPY, ancestors=(ImageAncestor(IMAGE), ImageAncestor(VENDORS_IMAGE))),
            {"trusted_owners": [VENDOR], "allowed_images": [VENDORS_IMAGE]},
            "untrusted",
            "copy-of-trusted",
            id="copy-of-an-allowed-deregistered-image",
        ),
        pytest.param(
            replace(COPY, ancestors=(), ancestry_known=False),
            {"trusted_owners": [VENDOR], "allowed_images": [VENDORS_IMAGE]},
            "untrusted",
            "copy-of-trusted",
            id="copy-of-an-allowed-image-by-its-source",
        ),
        pytest.param(
            replace(COPY, ancestors=(ImageAncestor(IMAGE), ImageAncestor(VENDORS_IMAGE, None, "amazon"))),
            {"trusted_owners": [VENDOR, "amazon"]},
            "untrusted",
            "copy-of-trusted",
            id="copy-of-an-image-of-amazon",
        ),
        pytest.param(
            replace(COPY, ancestors=(ImageAncestor(IMAGE), ImageAncestor(VENDORS_IMAGE, STRANGER))),
            TRUST_VENDOR,
            "untrusted",
            "untrusted-owner",
            id="copy-of-a-strangers-image",
        ),
        pytest.param(
            replace(OF_CUSTOMER, product_codes=("other", PRODUCT)),
            {"trusted_owners": [VENDOR], "trusted_product_codes": [PRODUCT]},
            "untrusted",
            "copy-of-trusted",
            id="copy-of-a-marketplace-image",
        ),
        # clones
        pytest.param(CLONED, TRUST_VENDOR, "untrusted", "clone-of-instance", id="clone"),
        pytest.param(
            replace(CLONED, ancestors=(ImageAncestor(IMAGE), ImageAncestor(CLONE, CUSTOMER), *DESCENT[1:])),
            TRUST_VENDOR,
            "untrusted",
            "clone-of-instance",
            id="clone-of-a-clone",
        ),
        pytest.param(
            replace(CLONED, ancestors=(), ancestry_known=False),
            TRUST_VENDOR,
            "untrusted",
            "clone-of-instance",
            id="clone-without-ancestry",
        ),
        pytest.param(
            replace(CLONED, ancestors=LONG_DESCENT),
            TRUST_VENDOR,
            "untrusted",
            "clone-of-instance",
            id="clone-with-ancestry-cut-at-50",
        ),
        pytest.param(CLONED, {"trusted_owners": []}, "untrusted", "clone-of-instance", id="clone-nothing-trusted"),
        pytest.param(
            replace(CLONED, product_codes=(PRODUCT,)),
            {"trusted_owners": [], "trusted_product_codes": [PRODUCT]},
            "untrusted",
            "clone-of-instance",
            id="clone-inherits-the-product-code",
        ),
        pytest.param(
            replace(CLONED, watermarks=(WATERMARK,), source_image_id=VENDORS_IMAGE),
            {"trusted_owners": [VENDOR], "trusted_watermarks": [WATERMARK]},
            "untrusted",
            "clone-of-instance",
            id="clone-inherits-the-watermark",
        ),
        # allowed by id
        pytest.param(
            OF_CUSTOMER,
            {"trusted_owners": [VENDOR], "allowed_images": [IMAGE]},
            "trusted",
            "allowed-image",
            id="allowed",
        ),
        pytest.param(
            CLONED,
            {"trusted_owners": [VENDOR], "allowed_images": [IMAGE]},
            "trusted",
            "allowed-image",
            id="clone-allowed",
        ),
        pytest.param(
            replace(NOTHING, problems=(NO_RIGHTS,)),
            {"trusted_owners": [], "allowed_images": [IMAGE]},
            "trusted",
            "allowed-image",
            id="allowed-needs-no-owner",
        ),
        pytest.param(
            OF_CUSTOMER,
            {"trusted_owners": [VENDOR], "allowed_images": [CLONE]},
            "untrusted",
            "untrusted-owner",
            id="another-image-allowed",
        ),
        # AWS Marketplace
        pytest.param(
            OF_MARKETPLACE,
            {"trusted_owners": [VENDOR], "trusted_product_codes": [PRODUCT]},
            "trusted",
            "marketplace-product",
            id="marketplace",
        ),
        pytest.param(
            OF_MARKETPLACE, TRUST_VENDOR, "untrusted", "marketplace-untrusted", id="marketplace-no-product-trusted"
        ),
        pytest.param(
            replace(OF_MARKETPLACE, product_codes=("other",)),
            {"trusted_owners": [], "trusted_product_codes": [PRODUCT]},
            "untrusted",
            "marketplace-untrusted",
            id="marketplace-another-product",
        ),
        pytest.param(
            replace(OF_MARKETPLACE, product_codes=()),
            {"trusted_owners": [VENDOR], "trusted_product_codes": [PRODUCT]},
            "unknown",
            "marketplace-unproven",
            id="marketplace-product-not-known",
        ),
        pytest.param(
            OF_MARKETPLACE,
            {"trusted_owners": [MARKETPLACE_OWNER]},
            "trusted",
            "vendor-owned",
            id="marketplace-as-an-owner",
        ),
        # watermarks
        pytest.param(
            replace(COPY, watermarks=("123412341234:other", WATERMARK)),
            {"trusted_owners": [], "trusted_watermarks": [WATERMARK]},
            "trusted",
            "trusted-watermark",
            id="watermark-on-a-plain-copy",
        ),
        pytest.param(
            replace(COPY, watermarks=("123412341234:other",)),
            {"trusted_owners": [VENDOR], "trusted_watermarks": [WATERMARK]},
            "untrusted",
            "copy-of-trusted",
            id="another-watermark",
        ),
        pytest.param(
            replace(
                COPY,
                watermarks=(WATERMARK,),
                source_image_id=CLONE,
                ancestors=(ImageAncestor(IMAGE), ImageAncestor(CLONE, CUSTOMER), *DESCENT[1:]),
            ),
            {"trusted_owners": [VENDOR], "trusted_watermarks": [WATERMARK]},
            "unknown",
            "watermark-unproven",
            id="watermark-on-a-copy-of-what-may-be-a-clone",
        ),
        pytest.param(
            replace(COPY, watermarks=(WATERMARK,), source_image_id=None, state="deregistered"),
            {"trusted_owners": [VENDOR], "trusted_watermarks": [WATERMARK]},
            "unknown",
            "watermark-unproven",
            id="watermark-on-what-is-described-no-more",
        ),
        pytest.param(
            replace(OF_CUSTOMER, watermarks=(WATERMARK,), ancestors=LONG_DESCENT),
            {"trusted_owners": [VENDOR], "trusted_watermarks": [WATERMARK]},
            "unknown",
            "watermark-unproven",
            id="watermark-with-ancestry-cut-at-50",
        ),
    ],
)
def test_verdict(evidence: ImageEvidence, trusting: dict[str, Any], trust: str, code: str) -> None:
    judged = verdict(evidence, **trusting)
    assert (judged.verdict, judged.code) == (trust, code)
    assert judged.reason.endswith(".")
    assert judged.evidence[0] == f"image {evidence.image_id}"
