"""Public helpers for tests: hypothesis strategies and problems with known answers."""
