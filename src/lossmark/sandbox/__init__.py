"""Processes of their own for code under test: started, asked, watched, ended.

Stands on the adapters and the specification; ``messages`` says what is asked and answered. Never judges, and must not
know what judges: the door ``lossmark.worker`` hands in the modules that a worker has to watch.
"""
