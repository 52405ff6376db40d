"""How well descriptors, the network and policies find conductors: pure functions."""
