"""One fleet per test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.process import Fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Real servers on directories below tmp_path; none outlives the test."""
    made = Fleet(tmp_path)
    try:
        yield made
    finally:
        made.end()
