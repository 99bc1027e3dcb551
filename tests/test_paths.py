"""Which paths a znode may have, and how they split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoopark.paths import is_plain_component, is_valid, name_of, parent_of

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


@given(st.binary(max_size=8))
def test_a_plain_component_is_allowed(component: bytes) -> None:
    """The cheap test may refuse what is allowed, never the other way round."""
    if is_plain_component(component):
        assert is_valid(b"/" + component)


@pytest.mark.parametrize(("component", "is_plain"), [(b"a", True), (b"n0000000001", True), (b" ~", True), (b"", False)])
def test_most_components_are_plain(component: bytes, is_plain: bool) -> None:
    assert is_plain == is_plain_component(component)


@pytest.mark.parametrize(
    ("path", "parent", "name"),
    [(b"/a", b"/", b"a"), (b"/a/b", b"/a", b"b"), (b"/a/", b"/a", b""), (b"/", b"/", b""), (b"a/b", b"a", b"b")],
)
def test_split(path: bytes, parent: bytes, name: bytes) -> None:
    assert (parent_of(path), name_of(path)) == (parent, name)


def test_a_path_without_a_slash_has_no_parent() -> None:
    """Who asks did not validate the path: a bug."""
    with pytest.raises(AssertionError):
        parent_of(b"a")
