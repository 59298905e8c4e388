"""Measured figures: how each is measured, kept and shown. A figure is never typed into a page.

``subjects`` lists what is measured and by which commands, ``condense`` makes a few tables of a command's output,
``record`` is the format of the files in ``reports/results``, and ``sections`` turns one file into text.
``python -m lossmark.reports.measured SUBJECT`` measures a subject and keeps it.
"""
