"""Architectures, one a file; `registry` lists them."""
