"""Where crystals come from and how they become calculable."""
