"""What `@mergeable` costs, measured so that anyone can repeat it: `python -m benchmarks`."""
