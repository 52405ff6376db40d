"""The frozen-framework potential-energy landscape of one mobile ion.

The package can be called, as :func:`superionic.api.crystal.landscape`.
"""

import sys

from superionic.front import CallableModule

sys.modules[__name__].__class__ = CallableModule
