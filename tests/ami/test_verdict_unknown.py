"""The verdict where EC2 does not show enough."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lifeboat.ami.verdict import verdict
from lifeboat.domain.image import ImageEvidence
from tests.ami.images import (
    CLONE,
    COPY,
    NO_ANSWER,
    NO_RIGHTS,
    NO_RIGHTS_TO_ANCESTRY,
    NOTHING,
    OF_CUSTOMER,
    OF_VENDOR,
    PRODUCT,
    THROTTLED,
    TRUST_VENDOR,
    VENDOR,
    WATERMARK,
)


@pytest.mark.parametrize(
    ("evidence", "trusting", "trust", "code"),
    [
        pytest.param(replace(NOTHING, problems=(NO_RIGHTS,)), TRUST_VENDOR, "unknown", "no-rights", id="no-rights"),
        pytest.param(
            replace(NOTHING, problems=("DescribeImages: AccessDenied: no",)),
            TRUST_VENDOR,
            "unknown",
            "no-rights",
            id="access-denied",
        ),
        pytest.param(replace(NOTHING, problems=(THROTTLED,)), TRUST_VENDOR, "unknown", "throttled", id="throttled"),
        pytest.param(
            replace(NOTHING, problems=(THROTTLED, NO_RIGHTS_TO_ANCESTRY)),
            TRUST_VENDOR,
            "unknown",
            "no-rights",
            id="throttled-and-no-rights-asks-for-the-rights",
        ),
        pytest.param(replace(NOTHING, problems=(NO_ANSWER,)), TRUST_VENDOR, "unknown", "lookup-failed", id="no-answer"),
        pytest.param(NOTHING, TRUST_VENDOR, "unknown", "no-record", id="no-record"),
        pytest.param(replace(NOTHING, owner_id=""), TRUST_VENDOR, "unknown", "no-record", id="empty-owner"),
        pytest.param(ImageEvidence(""), TRUST_VENDOR, "unknown", "no-record", id="empty-everything"),
        pytest.param(replace(COPY, owner_id=None), TRUST_VENDOR, "unknown", "no-record", id="ancestry-but-no-owner"),
        pytest.param(
            replace(NOTHING, owner_alias="amazon"),
            {"trusted_owners": ["amazon"]},
            "unknown",
            "no-record",
            id="alias-but-no-owner",
        ),
        pytest.param(
            replace(NOTHING, product_codes=(PRODUCT,), watermarks=(WATERMARK,)),
            {"trusted_owners": [], "trusted_product_codes": [PRODUCT], "trusted_watermarks": [WATERMARK]},
            "unknown",
            "no-record",
            id="product-code-but-no-owner",
        ),
        pytest.param(
            replace(OF_VENDOR, owner_id="55430919509"),
            TRUST_VENDOR,
            "unknown",
            "owner-unreadable",
            id="owner-id-without-its-leading-zero",
        ),
        pytest.param(
            replace(OF_VENDOR, owner_id=f" {VENDOR}"), TRUST_VENDOR, "unknown", "owner-unreadable", id="owner-id-blank"
        ),
        pytest.param(
            replace(OF_VENDOR, owner_id="amazon"),
            {"trusted_owners": ["amazon"]},
            "unknown",
            "owner-unreadable",
            id="alias-in-the-place-of-the-owner-id",
        ),
        pytest.param(
            replace(OF_VENDOR, owner_id="\u0660\u0665\u0665\u0664\u0663\u0660\u0669\u0661\u0669\u0665\u0660\u0669"),
            TRUST_VENDOR,
            "unknown",
            "owner-unreadable",
            id="owner-id-in-other-digits",
        ),
        pytest.param(OF_VENDOR, {"trusted_owners": []}, "unknown", "nothing-trusted", id="empty-trusted-list"),
        pytest.param(
            OF_CUSTOMER,
            {"trusted_owners": (), "allowed_images": [CLONE]},
            "untrusted",
            "untrusted-owner",
            id="empty-owners-but-another-list",
        ),
    ],
)
def test_verdict_without_all_facts(evidence: ImageEvidence, trusting: dict[str, Any], trust: str, code: str) -> None:
    judged = verdict(evidence, **trusting)
    assert (judged.verdict, judged.code) == (trust, code)
    assert judged.reason.endswith(".")
    assert judged.evidence[0] == f"image {evidence.image_id}"
