"""Paths of znodes, as UTF-8 bytes: which are legal, and how they split.

Bytes, because a path goes from the wire to the log and the tree without ever being read as text.
Source: ZooKeeper programmer's guide, "ZooKeeper Data Model", and its validation on create.
"""

import re
from typing import Final

ROOT: Final = b"/"
SYSTEM: Final = b"/zookeeper"
QUOTA: Final = b"/zookeeper/quota"
CONFIG: Final = b"/zookeeper/config"
SYSTEM_PATHS: Final = (ROOT, SYSTEM, QUOTA, CONFIG)
UNCOUNTED_PREFIX: Final = b"/zookeeper/"

PLAIN: Final = bytes(code for code in range(0x20, 0x7F) if code != 0x2F)
"""Bytes of which any component may be made, but for the empty one, "." and ".."; a cheap test before `is_valid`."""
_FORBIDDEN_UNITS: Final = re.compile("[\\u0000-\\u001f\\u007f-\\u009f\\ud800-\\uf8ff\\ufff0-\\uffff]")


def is_valid(path: bytes) -> bool:
    """Whether ZooKeeper allows this path for a znode: absolute, no empty, '.' or '..' component, no control,
    surrogate, private-use or special code unit, no '/' at the end except for the root itself."""
    if path == ROOT:
        return True
    if not path.startswith(b"/"):
        return False
    if any(component in (b"", b".", b"..") for component in path[1:].split(b"/")):
        return False
    text = path.decode("utf-8", "replace")
    return not _FORBIDDEN_UNITS.search(text) and all(ord(letter) < 0x10000 for letter in text)


def parent_of(path: bytes) -> bytes:
    """The path of the parent; the root for its children. The path must hold a '/'."""
    at = path.rfind(b"/")
    assert at >= 0, path
    return path[:at] if at else ROOT
