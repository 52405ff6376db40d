"""Universal interatomic potentials behind one batched interface."""
