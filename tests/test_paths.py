"""Which paths a znode may have, and how they split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoopark.paths import PLAIN, is_valid, parent_of

VALID = ["/", "/a", "/a/b", "/a.b", "/.a", "/a..", "/...", "/ ", "/~", "/\u00a0", "/\u4e2d\u6587", "/\ufdd0", "/\uffef"]
INVALID = {
    "": "empty",
    "a": "not absolute",
    "a/b": "not absolute",
    "/a/": "ends with a slash",
    "//": "empty component",
    "/a//b": "empty component",
    "/.": "dot",
    "/a/.": "dot",
    "/a/./b": "dot",
    "/..": "two dots",
    "/a/../b": "two dots",
    "/a\x00": "NUL",
    "/\x01": "control",
    "/\x1f": "control",
    "/\x7f": "control",
    "/\x9f": "control",
    "/\U0001f600": "outside the basic plane: surrogates in Java",
    "/\ue000": "private use",
    "/\uf8ff": "private use",
    "/\ufff0": "specials",
    "/\ufffd": "specials",
    "/\uffff": "specials",
}


@pytest.mark.parametrize("path", VALID)
def test_allowed(path: str) -> None:
    assert is_valid(path.encode())


@pytest.mark.parametrize("path", INVALID, ids=ascii)
def test_not_allowed(path: str) -> None:
    assert not is_valid(path.encode("utf-8", "surrogatepass")), INVALID[path]


@pytest.mark.parametrize("path", [b"/\xff", b"/\xed\xa0\x80"], ids=["no lead byte", "a surrogate"])
def test_what_is_no_utf8_is_not_allowed(path: bytes) -> None:
    """Java reads it as U+FFFD, which is among the specials."""
    assert not is_valid(path)


@given(st.lists(st.sampled_from(PLAIN), min_size=1, max_size=8).map(bytes))
def test_a_component_of_plain_bytes_is_allowed(component: bytes) -> None:
    """Creates of such names are not looked at any closer."""
    assert is_valid(b"/" + component) == (component not in (b".", b".."))


@pytest.mark.parametrize(
    ("path", "parent"), [(b"/a", b"/"), (b"/a/b", b"/a"), (b"/a/", b"/a"), (b"/", b"/"), (b"a/b", b"a")]
)
def test_the_parent(path: bytes, parent: bytes) -> None:
    assert parent_of(path) == parent


def test_a_path_without_a_slash_has_no_parent() -> None:
    """Who asks did not validate the path: a bug."""
    with pytest.raises(AssertionError):
        parent_of(b"a")
