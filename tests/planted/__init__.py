"""Known bugs, one at a time, in copies of the product: the simulator must find each. All hazards: HAZARDS.md."""
