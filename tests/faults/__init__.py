"""The fault battery: a whole installation, a hostile site, and faults of every kind; `make faults` runs it.

Each scenario asks for downloads, writes down what it asked for in a ledger of its own, injects its faults, waits
until everything has ended, and compares: nothing lost, nothing doubled, nothing stuck, every published file equal
to its source, nothing partial ever visible. `python -m tests.faults --help` lists the knobs.
"""
