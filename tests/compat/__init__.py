"""Proof by the original: real sockets, real processes, Apache ZooKeeper as the referee."""
