"""zoo.cfg's syntax is java.util.Properties: OpenJDK 17's Properties.load reads every text of CASES as they say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoopark.errors import ConfigError
from zoopark.server.properties import Entry, parse_properties

CASES = [
    # text, (key, value, line) …
    ("", []),
    ("a=b", [("a", "b", 1)]),
    ("a = b \n", [("a", "b ", 1)]),
    ("a:b\nc d\re\tf\r\ng\fh", [("a", "b", 1), ("c", "d", 2), ("e", "f", 3), ("g", "h", 4)]),
    ("a = = b", [("a", "= b", 1)]),
    ("a : : b", [("a", ": b", 1)]),
    ("=b", [("", "b", 1)]),
    ("a", [("a", "", 1)]),
    ("  \t\fa=b", [("a", "b", 1)]),
    ("# one\n ! two\n\n \t\na=b", [("a", "b", 5)]),
    ("# comments do not continue \\\na=b", [("a", "b", 2)]),
    ("a=b # kept", [("a", "b # kept", 1)]),
    ("a=b\\\n   c", [("a", "bc", 1)]),
    ("a\\\r\n  =\\\r  b\nc=d", [("a", "b", 1), ("c", "d", 4)]),
    ("a=b\\\n# kept", [("a", "b# kept", 1)]),
    ("a=b\\\n\nc=d", [("a", "b", 1), ("c", "d", 3)]),
    ("\\\n# dropped\na=b", [("a", "b", 3)]),
    ("a=b\\", [("a", "b", 1)]),
    ("a=b\\\\", [("a", "b\\", 1)]),
    ("a=b\\\\\nc=d", [("a", "b\\", 1), ("c", "d", 2)]),
    ("a=b\\\\\\\nc", [("a", "b\\c", 1)]),
    ("a\\=b\\ c\\:d=e", [("a=b c:d", "e", 1)]),
    ("a=\\t\\n\\r\\f\\q\\#", [("a", "\t\n\r\fq#", 1)]),
    ("\\u0061=\\u00e9\\u20AC", [("a", "é€", 1)]),
    ("a=\\ud83d\\ude00", [("a", "😀", 1)]),
    ("a=\\\\u0041", [("a", "\\u0041", 1)]),
    ("a=1\na=2", [("a", "1", 1), ("a", "2", 2)]),
    ("a=é\x00", [("a", "é\x00", 1)]),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_reads_a_text_as_java_does(text: str, expected: list[tuple[str, str, int]]) -> None:
    """Whatever a zoo.cfg says to Apache ZooKeeper it must say here."""
    assert [Entry(*entry) for entry in expected] == parse_properties(text)


@pytest.mark.parametrize("escape", ["\\u", "\\u12", "\\u12g4", "\\u-123"])
def test_a_broken_unicode_escape_is_refused_with_its_line(escape: str) -> None:
    """Java refuses the whole file; the user must learn where."""
    with pytest.raises(ConfigError) as refusal:
        parse_properties(f"a=b\nc={escape}", "my.cfg")
    assert str(refusal.value) == "my.cfg:2: \\u must be followed by four hexadecimal digits"


@given(st.lists(st.tuples(st.text(min_size=1), st.text())))
def test_what_was_escaped_reads_back(pairs: list[tuple[str, str]]) -> None:
    """Every key and value can be written down, whatever its characters."""
    text = "\n".join(f"{_escaped(key)}={_escaped(value)}" for key, value in pairs)
    expected = [Entry(key, value, line) for line, (key, value) in enumerate(pairs, 1)]
    assert expected == parse_properties(text)


@given(st.text(alphabet="ab=: \t\f\n\r\\#!u0"))
def test_any_text_is_entries_or_a_refusal(text: str) -> None:
    """A zoo.cfg that is no zoo.cfg must not break the reader, and lines must be lines of the file."""
    try:
        entries = parse_properties(text)
    except ConfigError:
        assert "\\u" in text
        return
    lines = text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
    assert all(1 <= entry.line <= lines for entry in entries)
    assert sorted(entry.line for entry in entries) == [entry.line for entry in entries]


def _escaped(text: str) -> str:
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
