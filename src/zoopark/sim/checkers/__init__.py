"""What must hold, whatever happens: over the members after every step, and over what their clients saw.

A checker is told what happened and raises `Violation` when it must not have. Checkers never touch what they check.
"""


class Violation(Exception):
    """A guarantee does not hold. The text names the guarantee, who broke it, and the zxids or paths in question."""
