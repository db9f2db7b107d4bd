"""The machines that carry out a description: plain and jitted, bare and under a monitor.

The middle floor: uses isa_specs, and never imports the checker or a solver.
"""
