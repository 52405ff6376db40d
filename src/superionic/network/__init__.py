"""The force network: diffusion from a handful of force evaluations, species never seen."""
