"""Inputs as JSON."""

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.target import decode_parts, encode_parts


@given(st.lists(st.one_of(st.binary(), st.text().map(str.encode)), max_size=3).map(tuple))
def test_an_input_comes_back(parts: tuple[bytes, ...]) -> None:
    assert decode_parts(encode_parts(parts)) == parts


def test_what_is_monotonous_takes_little_space() -> None:
    (encoded,) = encode_parts((b"1," * 1_000_000,))
    assert len(encoded) < 5000
