"""The parts of `peers.py`: rows, workers, what every library does in them, and the table.

Every library has a process of its own, so that the threads of one don't disturb another. `serve.py` is
that process: it imports one of the modules named `by_…`, whose `VARIANTS` are functions of a row's sizes
that return something to run and facts to compare.
"""
