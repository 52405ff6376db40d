"""Find superionic solid electrolytes with universal interatomic potentials."""

from importlib.metadata import version

from superionic.moved import install

install()
__version__ = version("superionic")
