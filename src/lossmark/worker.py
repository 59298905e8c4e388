"""``python -m lossmark.worker FD``: the process that runs code under test.

The worker itself knows nothing of the modules that judge. It watches them because this door hands them in: replacing
one of their functions here has no effect on a verdict, and is reported as a failure. The door stands here because the
base of a gate may be of a revision that had the worker under this name.
"""

from .checks import judgement
from .sandbox.worker import main
from .tolerance import acceptance, block, evaluate, expected, reduced, transformed

if __name__ == "__main__":
    main(watched=(judgement, acceptance, block, evaluate, expected, reduced, transformed))
