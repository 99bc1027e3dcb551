"""What agreement asks its host to do, in the order in which it must be done."""

from typing import final

from zoopark.jute.quorum import Notification
from zoopark.record import Effect


@final
class Notify(Effect):
    """Send a notification to a server over the election channel; a newer one may replace it while it waits there."""

    __slots__ = ("notification", "sid")

    def __init__(self, sid: int, notification: Notification) -> None:
        self.sid = sid
        self.notification = notification
