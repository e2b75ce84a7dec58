"""What the saver costs beside a bare Redis command and beside LangGraph's InMemorySaver.

Every figure that is judged is a ratio of two things timed in turns within one run, so that a slow
or noisy machine slows both. See `python -m benchmarks --help`.
"""
