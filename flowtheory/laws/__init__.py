"""Published laws as objects: one package or file a law."""
