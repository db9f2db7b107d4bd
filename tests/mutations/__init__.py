"""A mutation campaign: delete one check, guard, VM-exit condition or swap of a guest register, and see whether a verdict notices."""
