"""What is asked of one run, and the verdict.

Stands on the tolerance and on the answers of the sandbox. Knows no plan: which runs there are is not its concern.
"""
