"""The rows that say what each key may hold, and their agreement with Config and with the page users read."""

import re
from pathlib import Path

import pytest

from zoopark.server.config import Config
from zoopark.server.settings import (
    FILE,
    JVM,
    LONG_MAX,
    PROPERTY,
    SETTINGS,
    Choice,
    Fraction,
    Kind,
    Setting,
    Text,
    Truth,
    Value,
    Whole,
    Words,
)

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"

READ: list[tuple[Kind, str, Value]] = [
    (Whole("apples", 1), "1", 1),
    (Whole("apples", 1), "+7", 7),
    (Whole("apples", -1), "-1", -1),
    (Whole("apples", 1), "2147483647", 2**31 - 1),
    (Whole("apples", 1, LONG_MAX), "9223372036854775807", LONG_MAX),
    (Whole("apples", -5, floor=2), "-5", 2),
    (Whole("apples", -5, floor=2), "3", 3),
    (Fraction(), "0", 0.0),
    (Fraction(), ".25", 0.25),
    (Fraction(), "1.0", 1.0),
    (Truth(), "TRUE", True),
    (Truth(), "false", False),
    (Truth("yes", "no"), "Yes", True),
    (Truth("yes", "no"), "no", False),
    (Choice({"": "", "gz": "zip"}), "GZ", "zip"),
    (Choice({"": "", "gz": "zip"}), "", ""),
    (Text("a name"), "x y", "x y"),
    (Words("names"), "", ()),
    (Words("names"), " a, b ,,c", ("a", "b", "c")),
]

REFUSED: list[tuple[Kind, str, str]] = [
    (Whole("apples", 1), "", "a whole number of apples from 1 to 2147483647"),
    (Whole("apples", 1), "0", "a whole number of apples from 1 to 2147483647"),
    (Whole("apples", 1), "2147483648", "a whole number of apples from 1 to 2147483647"),
    (Whole("apples", 0, 5, "0 = none"), "6", "a whole number of apples from 0 to 5 (0 = none)"),
    (Whole("apples", 1), "1.5", "a whole number of apples from 1 to 2147483647"),
    (Whole("apples", 1), "\u0661", "a whole number of apples from 1 to 2147483647"),
    (Whole("apples", 1), "9" * 5000, "a whole number of apples from 1 to 2147483647"),
    (Fraction(), "1.01", "a number from 0 to 1"),
    (Fraction(), "-0.1", "a number from 0 to 1"),
    (Fraction(), "nan", "a number from 0 to 1"),
    (Truth(), "yes", "true or false"),
    (Truth("yes", "no"), "true", "yes or no"),
    (Choice({"": "", "gz": "gz"}), "bz2", "one of (nothing), gz"),
    (Text("a name"), "", "a name"),
]

JAVA_NUMBERS = [("0x1f", 31), ("0X1F", 31), ("#1f", 31), ("017", 15), ("-0x1", -1), ("0", 0), ("18", 18)]


@pytest.mark.parametrize(("kind", "text", "expected"), READ)
def test_an_allowed_text_is_read(kind: Kind, text: str, expected: Value) -> None:
    """What the page allows is taken, to the limits."""
    assert expected == kind.read(text)


@pytest.mark.parametrize(("kind", "text", "allowed"), REFUSED)
def test_another_text_is_refused_and_the_kind_says_what_is_allowed(kind: Kind, text: str, allowed: str) -> None:
    """A number one past its limit, or another language's digits, must not be taken for something near."""
    with pytest.raises(ValueError):
        kind.read(text)
    assert allowed == kind.allowed()


@pytest.mark.parametrize(("text", "number"), JAVA_NUMBERS)
def test_properties_take_javas_prefixes(text: str, number: int) -> None:
    """`jute.maxbuffer=0xfffff` is how ZooKeeper's own guide writes it."""
    assert number == Setting(PROPERTY, "x", "x", Whole("apples", -9), 0).read(text)


@pytest.mark.parametrize("text", ["0x1f", "#1f"])
def test_keys_of_the_file_take_decimal_numbers_only(text: str) -> None:
    """ZooKeeper reads them with another function than properties."""
    with pytest.raises(ValueError):
        Setting(FILE, "x", "x", Whole("apples", -9), 0).read(text)
    assert Setting(FILE, "x", "x", Whole("apples", -9), 0).read("017") == 17


def test_which_properties_set_a_key() -> None:
    """A JVM key is known by both names, and the prefixed one is the stronger, as for fsync.warningthresholdms."""
    kind = Truth()
    assert Setting(FILE, "a", "k", kind, True).property_names() == ()
    assert Setting(PROPERTY, "a", "k", kind, True).property_names() == ("zookeeper.k",)
    assert Setting(JVM, "a", "k", kind, True).property_names() == ("zookeeper.k", "k")


def test_rows_and_config_name_the_same_fields() -> None:
    """A row without a typed field could not be used; a field without a row would never be set."""
    derived = {"has_ensemble_scheme", "membership", "properties", "source_name"}
    assert {setting.field for setting in SETTINGS} | derived == set(Config.__annotations__)
    assert len(SETTINGS) == len({setting.field for setting in SETTINGS}) == len({setting.key for setting in SETTINGS})


def test_defaults_are_allowed_values() -> None:
    """A default that its own row refuses could not be written down."""
    for setting in SETTINGS:
        if isinstance(setting.kind, Text | Choice) or setting.default is None:
            continue
        assert setting.default == setting.kind.read(_as_written(setting)), setting.key


def test_the_page_shows_every_row() -> None:
    """A user reads docs/configuration.md, so it must say what the code does."""
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]*) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    shown = {key: default.strip() for key, default in rows}
    for setting in SETTINGS:
        assert setting.key in shown, setting.key
        if setting.default is not None:
            assert _as_written(setting) == shown[setting.key].strip("`").replace("(nothing)", ""), setting.key


def _as_written(setting: Setting) -> str:
    """The default as a user would write it into zoo.cfg."""
    value = setting.default
    if isinstance(value, bool):
        assert isinstance(setting.kind, Truth)
        return setting.kind.yes if value else setting.kind.no
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(setting.kind, Choice):
        return next(word for word, meaning in setting.kind.words.items() if meaning == value)
    return str(value)
