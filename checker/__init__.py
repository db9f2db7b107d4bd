"""Definitions, theorems, solving, reports and the ``vcheck`` command: the upper floor.

Importing this package loads nothing; ``vcheck --help`` needs neither solver nor compiler.
"""

__version__ = "0.1.0"
