"""A module that ends the process which imports it, as the kernel does when memory is out."""

import os
import signal

os.kill(os.getpid(), signal.SIGKILL)
