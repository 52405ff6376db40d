"""CHGNet: energies of frozen frameworks, and forces for dynamics."""

from pathlib import Path

OWN_MODELS = {"oam": Path(__file__).parent / "models" / "oam.pt"}
"""Models whose weights come with this package; each has a card beside it."""
