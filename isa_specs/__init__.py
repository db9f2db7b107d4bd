"""The description language and the descriptions written in it.

The lowest floor: imports neither the machine nor the checker, and neither z3 nor numba.
"""
