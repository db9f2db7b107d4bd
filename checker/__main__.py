"""``python -m checker``: the ``vcheck`` command."""

from checker.cli import command

command()
