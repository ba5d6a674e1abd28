"""The figures we claim, reproducibly: `python -m benchmarks.<name> [--json]`."""
