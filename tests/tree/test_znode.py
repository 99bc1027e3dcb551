"""A znode and its share of the tree digest."""

from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoopark.jute.stat import new_stat
from zoopark.tree.acl import AclTable
from zoopark.tree.znode import Znode, content_crc, digest_change, node_digest

STAT = new_stat(7, 1000, 0)


@given(st.binary(min_size=2, max_size=20), st.none() | st.binary(max_size=20))
def test_the_digest_is_one_checksum_over_all(path: bytes, data: bytes | None) -> None:
    """CRC-32 of path, data and Stat one behind the other; null data counts nothing."""
    assert node_digest(b"/" + path, data, STAT) == crc32(b"/" + path + (data or b"") + STAT)
    assert content_crc(b"/" + path, data) == crc32(b"/" + path + (data or b""))


@given(st.sampled_from([b"/", b"/a"]), st.none() | st.binary(max_size=5), st.none() | st.binary(max_size=5))
def test_a_change_is_the_difference_of_two_digests(path: bytes, old: bytes | None, new: bytes | None) -> None:
    changed = new_stat(8, 2000, 0)
    expected = node_digest(path, new, changed) - node_digest(path, old, STAT)
    assert digest_change(path, (old, STAT), (new, changed)) == expected


def test_the_root_counts_under_the_empty_path() -> None:
    assert node_digest(b"/", b"x", STAT) == crc32(b"x" + STAT)


@pytest.mark.parametrize(("data", "length"), [(None, 0), (b"", 0), (b"abc", 3)])
def test_the_length_of_data(data: bytes | None, length: int) -> None:
    assert Znode(data, STAT, AclTable().open).data_length() == length


def test_a_node_without_children() -> None:
    """It keeps no dict: there are millions of them."""
    node = Znode(b"", STAT, AclTable().open)
    assert (node.children, node.n_children()) == (None, 0)
