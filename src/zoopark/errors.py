"""Error codes of the client protocol and the exceptions of the package.

The codes are plain ints because they are compared on hot paths and written to the wire as they are.
Source: ZooKeeper's client protocol, the reply header's err field.
"""

from typing import Final

OK: Final = 0
SYSTEM_ERROR: Final = -1
RUNTIME_INCONSISTENCY: Final = -2
MARSHALLING_ERROR: Final = -5
UNIMPLEMENTED: Final = -6
BAD_ARGUMENTS: Final = -8
RECONFIG_DISABLED: Final = -123
NO_NODE: Final = -101
NO_AUTH: Final = -102
BAD_VERSION: Final = -103
NO_CHILDREN_FOR_EPHEMERALS: Final = -108
NODE_EXISTS: Final = -110
NOT_EMPTY: Final = -111
SESSION_EXPIRED: Final = -112
INVALID_ACL: Final = -114
AUTH_FAILED: Final = -115
SESSION_MOVED: Final = -118
NOT_READ_ONLY: Final = -119
EPHEMERAL_ON_LOCAL_SESSION: Final = -120
NO_WATCHER: Final = -121
SESSION_CLOSED_REQUIRE_AUTH: Final = -124
QUOTA_EXCEEDED: Final = -125
THROTTLED_OP: Final = -127


class ZooparkError(Exception):
    """The base of every error that this package raises on purpose; its text is one line fit for a user."""


class ConfigError(ZooparkError):
    """A configuration that cannot be used. The text names the file, the line, the key and what is allowed."""


class StorageError(ZooparkError):
    """A data directory that cannot be used as it is. The text names the file, what is wrong and a way out."""


class CorruptLog(StorageError):
    """A transaction log that is damaged before its end: valid entries follow the damage."""


class CorruptSnapshot(StorageError):
    """A snapshot that cannot be read to its end or whose checksum does not match."""


class Malformed(ZooparkError):
    """Bytes that are not the record they should be; raised by readers of `zoopark.jute`, never for our own output."""
