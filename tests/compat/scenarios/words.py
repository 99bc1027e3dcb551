"""Four-letter words, with sessions, watches and ephemerals to talk about."""

from typing import Final

from tests.compat import requests as ask
from tests.compat.steps import Raw, Step, Word, script, sends

WORDS: Final = (
    *(
        b"ruok",
        b"srvr",
        b"stat",
        b"conf",
        b"cons",
        b"dump",
        b"envi",
        b"wchs",
        b"wchc",
        b"wchp",
        b"mntr",
        b"isro",
        b"dirs",
    ),
    *(b"hash", b"gtmk", b"crst", b"srst", b"srvr", b"stat", b"cons"),
)
TELNET_CLOSE: Final = b"\xff\xf4\xff\xfd"


def _all() -> list[Step]:
    """Only watches that stay: 3.9.3 goes on counting a connection whose one-shot watches have all fired."""
    return script(
        sends(0, ask.create("/w", b"123"), ask.create("/w/e", flags=1), ask.create("/w/f", flags=1)),
        sends(1, ask.get_data("/w", True), ask.get_children("/w/e", True), ask.exists("/nope", True)),
        sends(2, ask.add_watch("/w", 1), ask.get_data("/w", True)),
        [Word(word) for word in WORDS],
    )


def _trace_mask() -> list[Step]:
    return script(
        Word(b"gtmk"),
        Word(b"stmk" + bytes(7) + b"\x07"),
        Word(b"gtmk"),
        Word(b"stmk" + bytes(6) + b"\x01\x32"),
        Word(b"gtmk"),
    )


def _odd() -> list[Step]:
    """Words with more behind them, unknown words, the telnet close, words where a session is."""
    return script(
        [
            Word(word)
            for word in (
                b"ruok\n",
                b"ruokruok",
                b"ruok" + bytes(100),
                b"isro\r\n",
                b"kill",
                b"RUOK",
                b"sett",
                TELNET_CLOSE,
            )
        ],
        Raw(0, b"ruok"),
        sends(0, ask.ping()),
    )


def _refused() -> list[Step]:
    return script(
        [Word(word) for word in WORDS if word not in (b"srvr", b"ruok")],
        [Word(b"ruok"), Word(b"nope"), Word(TELNET_CLOSE)],
    )


SCENARIOS: Final = {"four-letter words": _all(), "trace mask": _trace_mask(), "odd words": _odd()}
REFUSED: Final = {"words off the whitelist": _refused()}
