"""What mho takes (time, memory) and what its 8-bit integers cost in accuracy, measured by commands that write their own tables.

python -m benchmarks             time and memory, into docs/benchmarks.md and benchmarks/results.json
python -m benchmarks.accuracy    accuracy on real data, into docs/accuracy.md and benchmarks/accuracy.json
"""
