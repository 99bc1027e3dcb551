"""Agreement: election, discovery, synchronisation, broadcast. Transactions are opaque (zxid, bytes)."""
