"""Own weights of CHGNet's architecture, taught by another potential."""
