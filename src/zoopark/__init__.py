"""zoopark: the ZooKeeper coordination service in Python."""

__version__ = "0.1.0"
