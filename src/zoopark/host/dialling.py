"""How one server reaches another that has several addresses: they are tried in their order, at every dial anew.

Names are resolved each time, since addresses move.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from zoopark.jute.quorum import Address

_P = TypeVar("_P", bound=asyncio.Protocol)


async def dial(
    loop: asyncio.AbstractEventLoop, accept: Callable[[], _P], addresses: Sequence[Address], patience_s: float
) -> _P:
    """Connect to the first of these that answers.

    Args:
        accept: makes the protocol of an attempt.
        addresses: at least one.
        patience_s: for each of them, names included.

    Errors: OSError, which says what was tried and what became of it.
    """
    tried = []
    for host, port in addresses:
        try:
            async with asyncio.timeout(patience_s):
                _, protocol = await loop.create_connection(accept, host, port)
        except (OSError, TimeoutError) as error:
            tried.append(f"{host}:{port}: {str(error) or 'no answer'}")
        else:
            return protocol
    raise OSError("; ".join(tried))
