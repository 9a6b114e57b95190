"""The checksums of the formats.

CRC32C is Castagnoli's (RFC 3720, appendix B.4); XFS and ext4 use it. CRC-32 is zlib's; GPT and LVM2 use it. CRC-16 is
the reflected one of polynomial 0x8005; ext4's older group descriptors use it.
"""

from __future__ import annotations

import zlib

import google_crc32c

_ALL_ONES = 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """The CRC32C of `data`, inverted before and after as in RFC 3720."""
    return int(google_crc32c.value(data))


def crc32c_raw(seed: int, data: bytes) -> int:
    """The CRC32C register after `data`, from `seed`, inverted neither before nor after, as ext4 keeps it."""
    return int(google_crc32c.extend(seed ^ _ALL_ONES, data)) ^ _ALL_ONES


def crc32(data: bytes) -> int:
    """The CRC-32 of `data`, inverted before and after, as in GPT."""
    return zlib.crc32(data)


def crc32_raw(seed: int, data: bytes) -> int:
    """The CRC-32 register after `data`, from `seed`, inverted neither before nor after, as LVM2 keeps it."""
    return zlib.crc32(data, seed ^ _ALL_ONES) ^ _ALL_ONES


def crc16(seed: int, data: bytes) -> int:
    """The CRC-16 register after `data`, from `seed`, as ext4 keeps it."""
    for byte in data:
        seed = (seed >> 8) ^ _CRC16[(seed ^ byte) & 0xFF]
    return seed


def _crc16_of(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0xA001 if byte & 1 else 0)
    return byte


_CRC16 = tuple(_crc16_of(byte) for byte in range(256))
