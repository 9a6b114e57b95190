"""The verdict's reason and evidence, malformed lists, and properties that always hold."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeboat.ami.verdict import AmiVerdict, Trust, TrustError, verdict
from lifeboat.domain.image import ImageAncestor, ImageEvidence
from tests.ami.images import (
    AMAZON_OWNER,
    CLONE,
    CLONED,
    COPY,
    CUSTOMER,
    IMAGE,
    INSTANCE,
    LONG_DESCENT,
    MARKETPLACE_OWNER,
    NO_ANSWER,
    NO_RIGHTS,
    NOTHING,
    OF_CUSTOMER,
    OF_VENDOR,
    PRODUCT,
    STRANGER,
    THROTTLED,
    TRUST_VENDOR,
    VENDOR,
    VENDORS_IMAGE,
    WATERMARK,
)


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        pytest.param(OF_VENDOR, f"{IMAGE} is owned by {VENDOR}, a trusted owner.", id="vendor"),
        pytest.param(
            CLONED,
            f"{IMAGE} of account {CUSTOMER} was made of the instance {INSTANCE} and comes from {VENDORS_IMAGE} of the "
            f"trusted owner {VENDOR}: a clone of the platform's VM must not be used, make a fresh deployment instead.",
            id="clone",
        ),
        pytest.param(
            replace(CLONED, ancestors=()),
            f"{IMAGE} of account {CUSTOMER} was made of the instance {INSTANCE}: a clone of a VM must not be used, "
            "make a fresh deployment instead.",
            id="clone-of-unknown-origin",
        ),
        pytest.param(
            COPY,
            f"{IMAGE} is a copy, owned by {CUSTOMER}, of {VENDORS_IMAGE} of the trusted owner {VENDOR}: the platform "
            "checks the owner of its image and refuses to start on a copy, launch the original instead.",
            id="copy",
        ),
        pytest.param(
            replace(OF_CUSTOMER, ancestors=LONG_DESCENT),
            f"{IMAGE} is owned by {CUSTOMER}, which is no trusted owner. EC2 records only 50 "
            "ancestors, so a trusted origin cannot be proven.",
            id="ancestry-cut",
        ),
        pytest.param(
            replace(NOTHING, problems=(NO_RIGHTS,)),
            f"Lifeboat has no permission to read who owns {IMAGE}: {NO_RIGHTS}",
            id="no-rights",
        ),
        pytest.param(ImageEvidence(""), "EC2 has no record of who owns the image.", id="no-record-at-all"),
    ],
)
def test_the_reason_is_a_sentence(evidence: ImageEvidence, reason: str) -> None:
    assert verdict(evidence, **TRUST_VENDOR).reason == reason


def test_the_reason_names_an_allowed_clone() -> None:
    trusting = {"trusted_owners": [VENDOR], "allowed_images": [IMAGE]}
    assert verdict(CLONED, **trusting).reason.endswith(f", though it was made of the instance {INSTANCE}.")
    assert verdict(OF_CUSTOMER, **trusting).reason.endswith("allowed by their id.")
    assert verdict(replace(OF_VENDOR, source_instance_id=INSTANCE), **trusting).reason.endswith("allowed by their id.")


def test_an_inherited_watermark_or_product_code_identifies_a_clone_of_the_platform() -> None:
    bare = replace(CLONED, ancestors=(), product_codes=(PRODUCT,), watermarks=(WATERMARK,))
    by_code = verdict(bare, trusted_owners=[], trusted_product_codes=[PRODUCT])
    by_mark = verdict(bare, trusted_owners=[], trusted_watermarks=[WATERMARK])
    assert f"comes from an image of the trusted product {PRODUCT}: a clone of the platform's VM" in by_code.reason
    assert f"comes from an image with the trusted watermark {WATERMARK}: a clone of the platform's VM" in by_mark.reason


def test_every_observed_fact_is_in_the_evidence() -> None:
    observed = replace(
        CLONED,
        owner_alias="self",
        name="backup of the platform",
        source_image_id=VENDORS_IMAGE,
        product_codes=(PRODUCT, "other"),
        watermarks=(WATERMARK,),
        problems=(THROTTLED,),
    )
    assert verdict(observed, **TRUST_VENDOR).evidence == (
        f"image {IMAGE}",
        f"owner {CUSTOMER}",
        "owner alias self",
        "name backup of the platform",
        "state available",
        "private",
        f"made of the instance {INSTANCE}",
        f"copied from {VENDORS_IMAGE}",
        f"ancestry {IMAGE} <- {VENDORS_IMAGE} ({VENDOR})",
        f"product codes {PRODUCT}, other",
        f"watermarks {WATERMARK}",
        f"not shown by EC2: {THROTTLED}",
    )


def test_unknown_facts_are_not_in_the_evidence() -> None:
    assert verdict(NOTHING, **TRUST_VENDOR).evidence == (
        f"image {IMAGE}",
        "owner not known",
        "no record of its ancestry",
    )
    cut = verdict(replace(OF_VENDOR, ancestors=LONG_DESCENT), **TRUST_VENDOR).evidence
    assert "public" in cut
    assert cut[-1] == "ancestry cut at 50 images"


@pytest.mark.parametrize(
    ("trusting", "sentence"),
    [
        pytest.param(
            {"trusted_owners": ["55430919509"]},
            "TrustedAmiOwners has the entry '55430919509', expected a 12-digit account id or amazon.",
            id="leading-zero-lost",
        ),
        pytest.param({"trusted_owners": [""]}, "TrustedAmiOwners has the entry '', expected a 12-digit", id="blank"),
        pytest.param({"trusted_owners": ["*"]}, "TrustedAmiOwners has the entry '*'", id="everyone"),
        pytest.param({"trusted_owners": ["self"]}, "TrustedAmiOwners has the entry 'self'", id="self"),
        pytest.param(
            {"trusted_owners": ["aws-marketplace"]},
            "TrustedAmiOwners has the entry 'aws-marketplace'",
            id="every-seller-of-the-marketplace",
        ),
        pytest.param(
            {"trusted_owners": VENDOR}, f"TrustedAmiOwners is the text '{VENDOR}', expected a list", id="no-list"
        ),
        pytest.param(
            {"trusted_owners": [VENDOR], "allowed_images": ["ami-xyz"]},
            "AllowedImages has the entry 'ami-xyz', expected an image id such as ami-0123456789abcdef0.",
            id="no-image-id",
        ),
        pytest.param(
            {"trusted_owners": [VENDOR], "trusted_product_codes": ["a b"]},
            "TrustedProductCodes has the entry 'a b', expected a product code of AWS Marketplace.",
            id="no-product-code",
        ),
        pytest.param(
            {"trusted_owners": [VENDOR], "trusted_watermarks": ["forensics"]},
            "TrustedWatermarks has the entry 'forensics', expected a watermark such as 123456789012:name.",
            id="no-watermark",
        ),
    ],
)
def test_a_malformed_list_is_refused(trusting: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TrustError) as refusal:
        verdict(OF_VENDOR, **trusting)
    assert sentence in str(refusal.value)


def test_old_short_image_ids_are_accepted() -> None:
    judged = verdict(ImageEvidence("ami-0123abcd"), trusted_owners=[], allowed_images=["ami-0123abcd"])
    assert judged.verdict is Trust.TRUSTED


def test_a_verdict_is_immutable() -> None:
    judged = verdict(OF_CUSTOMER, **TRUST_VENDOR)
    with pytest.raises(FrozenInstanceError):
        judged.verdict = Trust.TRUSTED  # type: ignore[misc]
    assert isinstance(judged, AmiVerdict)


ACCOUNTS = st.sampled_from([VENDOR, CUSTOMER, STRANGER, AMAZON_OWNER, MARKETPLACE_OWNER])
IMAGES = st.sampled_from([IMAGE, CLONE, VENDORS_IMAGE])
ALIASES = st.sampled_from([None, "amazon", "aws-marketplace", "aws-backup-vault"])
EVIDENCE = st.builds(
    ImageEvidence,
    image_id=IMAGES,
    owner_id=st.one_of(st.none(), st.just(""), ACCOUNTS, st.text(max_size=13)),
    owner_alias=ALIASES,
    source_instance_id=st.sampled_from([None, INSTANCE]),
    source_image_id=st.one_of(st.none(), IMAGES),
    ancestors=st.lists(st.builds(ImageAncestor, IMAGES, st.one_of(st.none(), ACCOUNTS), ALIASES), max_size=4).map(
        tuple
    ),
    product_codes=st.sampled_from([(), (PRODUCT,), ("other",)]),
    watermarks=st.sampled_from([(), (WATERMARK,), (f"{CUSTOMER}:own",)]),
    problems=st.sampled_from([(), (NO_RIGHTS,), (THROTTLED,), (NO_ANSWER,)]),
)


@given(EVIDENCE)
def test_trust_always_has_one_of_four_grounds(evidence: ImageEvidence) -> None:
    trusting: dict[str, Any] = {
        "trusted_owners": [VENDOR],
        "trusted_product_codes": [PRODUCT],
        "trusted_watermarks": [WATERMARK],
    }
    judged = verdict(evidence, **trusting)
    by_owner = evidence.owner_id == VENDOR
    by_product = evidence.owner_alias == "aws-marketplace" and PRODUCT in evidence.product_codes
    by_watermark = WATERMARK in evidence.watermarks and not evidence.source_instance_id and evidence.source_image_id
    if judged.verdict is Trust.TRUSTED:
        assert evidence.owner_id
        assert by_owner or by_product or by_watermark
    if by_owner:
        assert judged.verdict is Trust.TRUSTED
    allowed = verdict(evidence, **trusting, allowed_images=[evidence.image_id])
    assert (allowed.verdict, allowed.code) == (Trust.TRUSTED, "allowed-image")


@given(EVIDENCE)
def test_without_any_list_nothing_is_trusted(evidence: ImageEvidence) -> None:
    assert verdict(evidence, trusted_owners=()).verdict is not Trust.TRUSTED
