"""The command line: one module per group of commands; each reads options and calls one function.

Stands on everything below it. Knows nothing that another interface would need.
"""
