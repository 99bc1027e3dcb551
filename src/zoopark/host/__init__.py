"""The world: sockets, files, clocks and processes. The only floor, with its simulated twin, that touches them."""
