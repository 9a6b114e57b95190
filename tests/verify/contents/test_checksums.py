"""The checksums give the published check values."""

from __future__ import annotations

import google_crc32c
import pytest

from lifeboat.verify.contents.checksums import crc16, crc32, crc32_raw, crc32c, crc32c_raw

DIGITS = b"123456789"
ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (crc32c(DIGITS), 0xE3069283),
        (crc32c_raw(ONES, DIGITS) ^ ONES, 0xE3069283),
        (crc32c_raw(crc32c_raw(ONES, DIGITS[:4]), DIGITS[4:]), crc32c_raw(ONES, DIGITS)),
        (crc32(DIGITS), 0xCBF43926),
        (crc32_raw(ONES, DIGITS) ^ ONES, 0xCBF43926),
        (crc16(0, DIGITS), 0xBB3D),
        (crc16(crc16(0, DIGITS[:4]), DIGITS[4:]), 0xBB3D),
    ],
    ids=[
        "CRC32C",
        "CRC32C from its start value",
        "CRC32C in parts",
        "CRC-32",
        "CRC-32 raw",
        "CRC-16",
        "CRC-16 in parts",
    ],
)
def test_check_values(value, expected):
    assert value == expected


def test_crc32c_is_computed_in_machine_code():
    assert google_crc32c.implementation == "c"
