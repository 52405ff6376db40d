"""A remark: something a user should know of a result, with a stable code."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Remark:
    """A warning that does not stop a computation and is stored with its result.

    Parameters
    ----------
    code : str
        Short and stable; tables group remarks by it.
    text : str
        One sentence for the user.
    """

    code: str
    text: str
