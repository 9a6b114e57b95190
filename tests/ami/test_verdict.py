"""The verdict on an image: every way an image can have come to be, and every way not to know it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeboat.ami.verdict import MAX_ANCESTRY, AmiVerdict, Trust, TrustError, verdict
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


@pytest.mark.parametrize(
    ("evidence", "trusting", "trust", "code"),
    [
        # of the owner himself
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
        # of somebody else
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
            id="copy-of-an-allowed-image-nobody-can-describe",
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
        # not known
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
def test_verdict(evidence: ImageEvidence, trusting: dict[str, Any], trust: str, code: str) -> None:
    judged = verdict(evidence, **trusting)
    assert (judged.verdict, judged.code) == (trust, code)
    assert judged.reason.endswith(".")
    assert judged.evidence[0] == f"image {evidence.image_id}"


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
            id="clone-of-who-knows-what",
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
            "trusted_owners has the entry '55430919509', expected a 12-digit account id or amazon.",
            id="leading-zero-lost",
        ),
        pytest.param({"trusted_owners": [""]}, "trusted_owners has the entry '', expected a 12-digit", id="blank"),
        pytest.param({"trusted_owners": ["*"]}, "trusted_owners has the entry '*'", id="everybody"),
        pytest.param({"trusted_owners": ["self"]}, "trusted_owners has the entry 'self'", id="self"),
        pytest.param(
            {"trusted_owners": ["aws-marketplace"]},
            "trusted_owners has the entry 'aws-marketplace'",
            id="every-seller-of-the-marketplace",
        ),
        pytest.param(
            {"trusted_owners": VENDOR}, f"trusted_owners is the text '{VENDOR}', expected a list", id="no-list"
        ),
        pytest.param(
            {"trusted_owners": [VENDOR], "allowed_images": ["ami-xyz"]},
            "allowed_images has the entry 'ami-xyz', expected an image id such as ami-0123456789abcdef0.",
            id="no-image-id",
        ),
        pytest.param(
            {"trusted_owners": [VENDOR], "trusted_product_codes": ["a b"]},
            "trusted_product_codes has the entry 'a b', expected a product code of AWS Marketplace.",
            id="no-product-code",
        ),
        pytest.param(
            {"trusted_owners": [VENDOR], "trusted_watermarks": ["forensics"]},
            "trusted_watermarks has the entry 'forensics', expected a watermark such as 123456789012:name.",
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
