"""What the parsers tell the reader about a malformed line."""

import pickle

from gpuio.io.text.bad_line import BadLine


def test_it_keeps_the_place_and_the_reason() -> None:
    bad = BadLine(3, None, "too short")
    again = pickle.loads(pickle.dumps(bad))
    for each in (bad, again):
        assert (each.line, each.column, each.reason) == (3, None, "too short")
