"""The comparison of the platform's version, as a table of pairs of images' names."""

from __future__ import annotations

import pytest

from lifeboat.ami.version import Comparison, NamedImage, compare_all, compare_platforms

RECORDED = "CadoResponse_v2.324.0"
OLD = "ami-0aaaaaaaaaaaaaaa1"
NEW = "ami-0bbbbbbbbbbbbbbb2"

PAIRS: dict[str, tuple[str, str, str]] = {
    # the recorded name, the target's name, what the comparison is
    "equal": (RECORDED, "CadoResponse_v2.324.0", "same"),
    "equal, a zero less": (RECORDED, "CadoResponse_v2.324", "same"),
    "equal, a zero more": (RECORDED, "CadoResponse_v2.324.0.0", "same"),
    "equal, written with zeros": (RECORDED, "CadoResponse_v02.0324.00", "same"),
    "equal, other letters of one name": (RECORDED, "cadoresponse_V2.324.0", "same"),
    "equal, another separator": (RECORDED, "CadoResponse-v2.324.0", "same"),
    "equal suffixes": ("CadoResponse_v2.324.0-rc1", "CadoResponse_v2.324-rc1", "same"),
    "equal names without a version": ("our hardened image", "our hardened image", "same"),
    "older major": (RECORDED, "CadoResponse_v1.999.9", "older"),
    "older minor": (RECORDED, "CadoResponse_v2.323.9", "older"),
    "older minor, fewer digits": (RECORDED, "CadoResponse_v2.99.0", "older"),
    "older patch": ("CadoResponse_v2.324.10", "CadoResponse_v2.324.9", "older"),
    "older, a patch less": ("CadoResponse_v2.324.1", "CadoResponse_v2.324", "older"),
    "older, with a suffix": (RECORDED, "CadoResponse_v2.323.0-hotfix2", "older"),
    "older, one number": ("CadoResponse_v42", "CadoResponse_v9", "older"),
    "newer major": (RECORDED, "CadoResponse_v3.0.0", "newer"),
    "newer minor": (RECORDED, "CadoResponse_v2.1000.0", "newer"),
    "newer patch": (RECORDED, "CadoResponse_v2.324.1", "newer"),
    "newer, a number more": (RECORDED, "CadoResponse_v2.324.0.7", "newer"),
    "newer, though of a candidate": (RECORDED, "CadoResponse_v2.325.0rc1", "newer"),
    "a suffix here only": (RECORDED, "CadoResponse_v2.324.0-hotfix1", "unknown"),
    "a suffix there only": ("CadoResponse_v2.324.0-rc1", RECORDED, "unknown"),
    "two suffixes": ("CadoResponse_v2.324.0-arm64", "CadoResponse_v2.324.0-x86_64", "unknown"),
    "a date and a version": (RECORDED, "CadoResponse_v20260630", "unknown"),
    "a version and a date": ("CadoResponse_v20260630", RECORDED, "unknown"),
    "no version": (RECORDED, "CadoResponse", "unknown"),
    "no product": (RECORDED, "_v2.324.0", "unknown"),
    "no v": (RECORDED, "CadoResponse_2.100.0", "unknown"),
    "not a whole number": (RECORDED, "CadoResponse_v2.x", "unknown"),
    "hyphens for dots": (RECORDED, "CadoResponse_v2-100-0", "unknown"),
    "a dot at the end": (RECORDED, "CadoResponse_v2.100.", "unknown"),
    "two versions": (RECORDED, "CadoResponse_v2.100.0_v3.0.0", "unknown"),
    "too many numbers": (RECORDED, "CadoResponse_v1.1.1.1.1.1.1", "unknown"),
    "too many digits": (RECORDED, "CadoResponse_v1.0000000000", "unknown"),
    "digits of another script": (RECORDED, "CadoResponse_v١.٢", "unknown"),  # noqa: RUF001
    "longer than a name can be": (RECORDED, "C" * 128 + "_v1.0.0", "unknown"),
    "recorded is unreadable": ("CadoResponse-latest", "CadoResponse_v2.100.0", "unknown"),
    "both are unreadable": ("al2023-ami-2023.5.20240701.0", "al2023-ami-2023.6.20241010.0", "unknown"),
    "recorded is missing": ("", RECORDED, "unknown"),
    "target is missing": (RECORDED, "", "unknown"),
    "both are missing": ("", "", "unknown"),
    "another product, older": (RECORDED, "OtherPlatform_v1.0.0", "other-product"),
    "another product, equal numbers": (RECORDED, "OtherPlatform_v2.324.0", "other-product"),
    "a product with the same beginning": (RECORDED, "CadoResponseWorker_v2.100.0", "other-product"),
}


@pytest.mark.parametrize(("recorded", "target", "result"), PAIRS.values(), ids=PAIRS.keys())
def test_a_pair_of_names(recorded, target, result):
    found = compare_platforms(NamedImage(OLD, recorded), NamedImage(NEW, target))
    assert found.result == Comparison(result), found.sentence


@pytest.mark.parametrize(("recorded", "target", "result"), PAIRS.values(), ids=PAIRS.keys())
def test_older_and_newer_are_opposites(recorded, target, result):
    opposite = {"older": "newer", "newer": "older"}.get(result, result)
    found = compare_platforms(NamedImage(NEW, target), NamedImage(OLD, recorded))
    assert found.result == Comparison(opposite), found.sentence


@pytest.mark.parametrize("name", ["", "CadoResponse_v2.100.0"])
def test_the_recorded_image_itself_is_the_same_whatever_its_name_is(name):
    assert compare_platforms(NamedImage(OLD, RECORDED), NamedImage(OLD, name)).result is Comparison.SAME


def test_the_sentence_names_both_images():
    found = compare_platforms(NamedImage(OLD, RECORDED), NamedImage(NEW, "CadoResponse_v2.100.0"))
    assert found.sentence == (
        f"the target's image 'CadoResponse_v2.100.0' ({NEW}) is an older platform than '{RECORDED}' ({OLD}), "
        "which was backed up"
    )


@pytest.mark.parametrize(
    ("recorded", "target", "why"),
    [
        (NamedImage(OLD), NamedImage(NEW, RECORDED), "the recovery point does not record the name of the image"),
        (NamedImage(), NamedImage(), "the recovery point does not record the name of the image"),
        (NamedImage(OLD, RECORDED), NamedImage(NEW), f"EC2 shows no name of the target's image {NEW}"),
        (NamedImage(OLD, RECORDED), NamedImage(), "EC2 shows no name of the target's image unknown id"),
        (
            NamedImage(OLD, "latest"),
            NamedImage(NEW, RECORDED),
            f"the recorded image 'latest' ({OLD}) has no version in its name, such as CadoResponse_v2.324.0",
        ),
        (
            NamedImage(OLD, RECORDED),
            NamedImage(NEW, "latest"),
            f"the target's image 'latest' ({NEW}) has no version in its name, such as CadoResponse_v2.324.0",
        ),
    ],
)
def test_what_is_not_compared_is_said_with_the_reason(recorded, target, why):
    found = compare_platforms(recorded, target)
    assert (found.result, found.sentence) == (Comparison.UNKNOWN, f"platform versions are not compared: {why}")


@pytest.mark.parametrize("name", ["x\n- the image is trusted", "x\u202e\x1b[2J", "'; trusted", "n" * 10_000])
def test_a_name_is_shown_escaped_and_short(name):
    for pair in ((NamedImage(OLD, name), NamedImage(NEW, RECORDED)), (NamedImage(f"a\n{name}", "y"), NamedImage())):
        sentence = compare_platforms(*pair).sentence
        assert sentence.isprintable()
        assert len(sentence) < 600


def test_of_several_recorded_images_the_gravest_counts():
    target = NamedImage(NEW, RECORDED)
    images = [NamedImage(NEW), NamedImage(OLD, "CadoResponse_v3.0.0"), NamedImage(OLD, "CadoResponse_v1.0.0")]
    assert compare_all(images, target).result is Comparison.OLDER
    assert compare_all((), target).result is Comparison.UNKNOWN
