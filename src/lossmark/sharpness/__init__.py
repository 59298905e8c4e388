"""What wrong implementations the suite kills, and whom it accuses.

Stands on the suite. Knows no command line and no page.
"""
