"""The supervisor of `medianest up`: processes, their output, what an earlier run left behind."""
