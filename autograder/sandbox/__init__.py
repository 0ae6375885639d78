"""A sandbox for what a student wrote: their code runs in it, and all that watches it runs outside.

Contract: `available` says whether there can be one here. A `Sandbox` is given to `observed`, which then runs all of a
student's code in it, or raises `Ended`. `forget_environment` is for a process that starts such runs.
"""

from autograder.sandbox.ended import Ended
from autograder.sandbox.environment import forget_environment
from autograder.sandbox.limits import Limits
from autograder.sandbox.namespaces import available
from autograder.sandbox.submission import Sandbox

__all__ = ["Ended", "Limits", "Sandbox", "available", "forget_environment"]
