"""The container in which ZooKeeper keeps a snapshot under snappy, that of snappy-java's streams.

    offset  bytes  field
    0       8      magic 82 "SNAPPY" 00
    8       4      i32 version, 1
    12      4      i32 oldest compatible version, 1
    16      …      blocks: i32 length, raw snappy of at most BLOCK_BYTES; a header may stand between two

The stream has no end of its own: it ends with the file, between two blocks. snappy itself is the package cramjam, which
only those need who use it.
"""

from collections.abc import Callable
from struct import Struct
from typing import Final, final

from zoopark.errors import CorruptSnapshot, StorageError

MAGIC: Final = b"\x82SNAPPY\x00"
BLOCK_BYTES: Final = 32 << 10
MAX_BLOCK_BYTES: Final = 64 << 20
_HEADER: Final = Struct(">8sii")
_I32: Final = Struct(">i")
_VERSION: Final = 1


def _functions() -> tuple[Callable[[bytes], bytes], Callable[[bytes], bytes], type[Exception]]:
    """(compress, decompress, what decompress raises for other bytes)."""
    try:
        import cramjam
    except ImportError:
        raise StorageError(
            "snapshots under snappy need the package cramjam: install it (pip install 'zoopark[snappy]'), or use "
            "snapshot.compression.method=gz"
        ) from None
    return (
        lambda data: bytes(cramjam.snappy.compress_raw(data)),
        lambda data: bytes(cramjam.snappy.decompress_raw(data)),
        cramjam.DecompressionError,
    )


def require_snappy() -> None:
    """Errors: StorageError, with a way out, if the package for snappy is not there."""
    _functions()


@final
class Deflate:
    """Compresses a stream: `compress` …, then `flush`. Errors: StorageError if the package for snappy is not there."""

    __slots__ = ("_compress", "_pending")

    def __init__(self) -> None:
        self._compress = _functions()[0]
        self._pending = b""

    def compress(self, data: bytes) -> bytes:
        """What can be written after the next bytes."""
        pending = self._pending + data
        whole = len(pending) - len(pending) % BLOCK_BYTES
        self._pending = pending[whole:]
        return b"".join([self._block(pending[at : at + BLOCK_BYTES]) for at in range(0, whole, BLOCK_BYTES)])

    def flush(self) -> bytes:
        """The rest."""
        return self._block(self._pending) if self._pending else b""

    @staticmethod
    def header() -> bytes:
        """What a file begins with."""
        return _HEADER.pack(MAGIC, _VERSION, _VERSION)

    def _block(self, data: bytes) -> bytes:
        packed = self._compress(data)
        return _I32.pack(len(packed)) + packed


@final
class Inflate:
    """Reads a stream in any pieces. Errors: StorageError if the package for snappy is not there.

    Attributes:
        is_whole: whether the stream may end here.
    """

    __slots__ = ("_decompress", "_error", "_has_header", "_rest", "is_whole")

    def __init__(self) -> None:
        _, self._decompress, self._error = _functions()
        self._rest = b""
        self._has_header = False
        self.is_whole = False

    def decompress(self, data: bytes) -> bytes:
        """The bytes that are whole after the next piece. Errors: CorruptSnapshot, one line."""
        data = self._rest + data
        at, found = 0, []
        while len(data) - at >= _I32.size:
            if data.startswith(MAGIC[:4], at):
                if len(data) - at < _HEADER.size:
                    break
                self._check(data, at)
                at += _HEADER.size
                continue
            size = _I32.unpack_from(data, at)[0]
            if not self._has_header or not 0 < size <= MAX_BLOCK_BYTES:
                raise CorruptSnapshot(f"a block of {size} bytes where 1 to {MAX_BLOCK_BYTES} are allowed")
            end = at + _I32.size + size
            if end > len(data):
                break
            found.append(self._unpack(data[at + _I32.size : end]))
            at = end
        self._rest = data[at:]
        self.is_whole = self._has_header and not self._rest
        return b"".join(found)

    def _check(self, data: bytes, at: int) -> None:
        magic, version, oldest = _HEADER.unpack_from(data, at)
        if magic != MAGIC or oldest > _VERSION:
            raise CorruptSnapshot(f"a snappy stream of version {version}, compatible down to {oldest}; 1 is allowed")
        self._has_header = True

    def _unpack(self, block: bytes) -> bytes:
        try:
            return self._decompress(block)
        except self._error as error:
            raise CorruptSnapshot(f"a damaged block: {error}") from error
