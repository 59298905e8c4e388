"""Times of what conforms, and of the machine that it runs on.

Stands on the sandbox and the tolerance. Knows neither the plan of conformance nor the gate.
"""
