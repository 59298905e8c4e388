"""Processes of their own for code under test: started, asked, watched, ended.

Stands on the adapters and on the messages of ``work``. Never judges.
"""
