"""The bench: recorders under the same load, the API under a replayer, and what a start costs."""
