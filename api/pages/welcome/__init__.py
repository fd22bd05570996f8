"""The first run, in steps that can be left and taken up again."""
