"""Runs: a folder per training (`store`), and the engine that trains in worker processes (`engine`, `host`, `worker`)."""
