"""When the first write came through."""

import time

import pytest

from bench.failover import NobodyServesError, first_write
from tests.bench.answering import answering
from tests.compat.oracle import LOOPBACK, free_port


def test_one_that_serves_is_found_beside_one_that_does_not() -> None:
    began = time.monotonic()
    with answering() as server:
        assert began < first_write([(LOOPBACK, free_port()), server.at]) < time.monotonic()
        assert server.nodes == {b"/": b"x"}


def test_a_refused_write_is_tried_again() -> None:
    """The hundredth request, here a write, is answered with an error: it counts as no write."""
    with answering("error") as server:
        server.requests = 99
        first_write([server.at])
        assert server.requests >= 101


def test_nobody_serves() -> None:
    with pytest.raises(NobodyServesError, match="no write in"):
        first_write([(LOOPBACK, free_port())], deadline_s=0.1)
