"""Records to bytes and back, exactly as on ZooKeeper's wire and disk."""
