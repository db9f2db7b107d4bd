"""Fuzzing the language: descriptions with a few things wrong, and whether what loads of them is sound."""
