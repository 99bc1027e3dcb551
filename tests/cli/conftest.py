"""One fleet per test."""

from tests.faults.conftest import fleet

__all__ = ["fleet"]
