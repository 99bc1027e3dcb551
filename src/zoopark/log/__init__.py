"""What is durable: the transaction log, the files of snapshots, the epochs."""
