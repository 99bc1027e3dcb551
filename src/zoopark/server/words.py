"""The four-letter words: short questions on the client port, answered as text."""

from typing import TYPE_CHECKING, final

from zoopark.record import Now

if TYPE_CHECKING:
    from zoopark.server.member import Member


@final
class Words:
    """Answers four-letter words for one member."""

    def __init__(self, member: "Member", now: Now) -> None:
        self.member = member
        self.started_ms = now.mono_ms

    def answer(self, chunk: bytes) -> bytes:
        """The text for the word that the chunk starts with."""
        word = chunk[:4].decode("latin-1")
        allowed = self.member.config.four_letter_words
        if "*" not in allowed and word not in allowed:
            return f"{word} is not executed because it is not in the whitelist.\n".encode()
        if word == "ruok":
            return b"imok"
        if word == "srvr":
            return b"Zookeeper version: zoopark\nMode: standalone\n"
        return b""
