from __future__ import annotations

import json
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies
from label_studio_sam2.engine.cache.embedding import MAGIC, PREFIX, VERSION, Embedding, from_bytes, to_bytes
from label_studio_sam2.types import Size

FEATURES = st.lists(
    numpy_strategies.arrays(
        st.sampled_from([np.float16, np.float32]),
        numpy_strategies.array_shapes(min_dims=3, max_dims=3, min_side=0, max_side=5),
    ),
    max_size=4,
).map(tuple)
SIZES = st.builds(Size, st.integers(1, 100_000), st.integers(1, 100_000))
EMBEDDINGS = st.builds(Embedding, features=FEATURES, size=SIZES, fingerprint=st.text(max_size=20))

SMALL = Embedding((np.arange(24, dtype=np.float16).reshape(2, 3, 4),), Size(30, 40), "model")


def with_header(header: object, content: bytes = b"") -> bytes:
    body = json.dumps(header).encode()
    return PREFIX.pack(MAGIC, VERSION, len(body), zlib.crc32(body + content)) + body + content


@given(EMBEDDINGS)
def test_bytes_give_the_same_embedding_back_bit_for_bit(embedding: Embedding) -> None:
    again = from_bytes(to_bytes(embedding), embedding.fingerprint)
    assert again is not None
    assert (again.size, again.fingerprint, again.nbytes) == (
        embedding.size,
        embedding.fingerprint,
        embedding.nbytes,
    )
    assert [(a.dtype, a.shape, a.tobytes()) for a in again.features] == [
        (a.dtype, a.shape, a.tobytes()) for a in embedding.features
    ]


def test_arrays_come_back_as_torch_wants_them_contiguous_and_writable() -> None:
    view = Embedding((SMALL.features[0].transpose(2, 1, 0),), SMALL.size, "model")
    again = from_bytes(to_bytes(view), "model")
    assert again is not None
    assert again.features[0].flags.c_contiguous
    assert again.features[0].flags.writeable
    assert np.array_equal(again.features[0], view.features[0])


@given(st.data())
def test_a_damaged_byte_anywhere_makes_it_no_embedding(data: st.DataObject) -> None:
    good = to_bytes(SMALL)
    at = data.draw(st.integers(0, len(good) - 1))
    flip = data.draw(st.integers(1, 255))
    assert from_bytes(good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :], "model") is None


@given(st.integers(0, len(to_bytes(SMALL)) - 1))
def test_a_truncated_value_is_no_embedding(length: int) -> None:
    assert from_bytes(to_bytes(SMALL)[:length], "model") is None


def test_trailing_bytes_make_it_no_embedding() -> None:
    assert from_bytes(to_bytes(SMALL) + b"\0", "model") is None


@given(st.binary(max_size=200), st.booleans())
def test_a_foreign_value_is_no_embedding(value: bytes, with_magic: bool) -> None:
    assert from_bytes(MAGIC * with_magic + value, "model") is None


@pytest.mark.parametrize("version", [0, VERSION - 1, VERSION + 1])
def test_another_version_of_the_format_is_no_embedding(version: int) -> None:
    good = to_bytes(SMALL)
    _, _, length, checksum = PREFIX.unpack_from(good)
    assert from_bytes(PREFIX.pack(MAGIC, version, length, checksum) + good[PREFIX.size :], "model") is None


def test_another_models_embedding_is_no_embedding() -> None:
    assert from_bytes(to_bytes(SMALL), "another model") is None


@pytest.mark.parametrize(
    "header",
    [
        None,
        [],
        {},
        {"fingerprint": "model"},
        {"fingerprint": "model", "arrays": [], "size": [1]},
        {"fingerprint": "model", "arrays": [["<f2", [1, 2, 3]]], "size": [1, 2]},
        {"fingerprint": "model", "arrays": [["|O", [1]]], "size": [1, 2]},
        {"fingerprint": "model", "arrays": [["<f2", ["a"]]], "size": [1, 2]},
        {"fingerprint": "model", "arrays": [["<f2", [10**30]]], "size": [1, 2]},
        {"fingerprint": "model", "arrays": [["<f2"]], "size": [1, 2]},
        {"fingerprint": "model", "arrays": [], "size": [1, float("inf")]},
    ],
)
def test_a_header_of_another_shape_under_a_sound_checksum_is_no_embedding(header: object) -> None:
    assert from_bytes(with_header(header), "model") is None


def test_more_content_than_the_header_describes_makes_it_no_embedding() -> None:
    header = {"fingerprint": "model", "arrays": [["<f2", [2]]], "size": [1, 2]}
    assert from_bytes(with_header(header, bytes(4)), "model") is not None
    assert from_bytes(with_header(header, bytes(6)), "model") is None


def test_a_header_nested_without_end_is_no_embedding() -> None:
    body = b"[" * 60_000
    assert from_bytes(PREFIX.pack(MAGIC, VERSION, len(body), zlib.crc32(body)) + body, "model") is None
