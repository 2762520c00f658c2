"""murmur2 as Kafka computes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.events.partition import murmur2, partition_of


# The vectors of Kafka's own UtilsTest.testMurmur2.
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(data: bytes, expected: int) -> None:
    assert murmur2(data) == expected


@given(st.binary(max_size=64))
def test_murmur2_equals_a_plain_translation_of_the_java_source(data: bytes) -> None:
    assert murmur2(data) == _java(data)


def test_a_partition_is_the_positive_hash_modulo_their_number() -> None:
    assert partition_of("21", 100) == (-973932308 & 0x7FFFFFFF) % 100


@given(st.text(min_size=1), st.integers(1, 4096))
def test_every_key_has_a_partition_and_keeps_it(key: str, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions
    assert partition_of(key, partitions) == partition_of(key, partitions)


def test_ids_that_look_alike_are_different_keys() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert murmur2(composed.encode()) != murmur2(decomposed.encode())


def _java(data: bytes) -> int:
    """org.apache.kafka.common.utils.Utils.murmur2, line by line, on 32-bit ints."""
    mask, m, r = 0xFFFFFFFF, 0x5BD1E995, 24
    length = len(data)
    h = (0x9747B28C ^ length) & mask
    for i in range(length // 4):
        i4 = i * 4
        k = data[i4] + (data[i4 + 1] << 8) + (data[i4 + 2] << 16) + (data[i4 + 3] << 24)
        k = k * m & mask
        k ^= k >> r
        k = k * m & mask
        h = h * m & mask
        h ^= k
    rest = length & ~3
    if length % 4 == 3:
        h ^= data[rest + 2] << 16
    if length % 4 >= 2:
        h ^= data[rest + 1] << 8
    if length % 4 >= 1:
        h ^= data[rest]
        h = h * m & mask
    h ^= h >> 13
    h = h * m & mask
    h ^= h >> 15
    return h - (1 << 32) if h >= 1 << 31 else h
