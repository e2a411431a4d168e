"""The subcommands of `concept-fragmentation` that work on a store, one module a kind.

A command reads its arguments, asks the store, and says what the store answered: as a table for
people, or with `--json` for programs.
"""
