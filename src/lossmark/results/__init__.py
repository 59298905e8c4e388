"""What a run leaves behind: cells, the environment they were made in, the history of runs.

Stands on the error types alone. Knows neither how a cell was judged nor what reads it.
"""
