"""The world, simulated and seeded: what `zoopark.host` does, without the operating system."""
