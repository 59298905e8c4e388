"""``python -m lossmark.worker``: a door for gates, whose base may be of a revision that had the worker here."""

from .sandbox.worker import main

if __name__ == "__main__":
    main()
