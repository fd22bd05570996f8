"""A stream's way into a file: the plan of its pieces, their transfer, the journal of what is there."""
