"""The media matrix: what is sent, what came out, and how the two are compared."""
