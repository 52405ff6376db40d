"""Find superionic solid electrolytes with universal interatomic potentials."""

from importlib.metadata import version

__version__ = version("superionic")
