"""CHGNet: energies of frozen frameworks, and forces for dynamics."""
