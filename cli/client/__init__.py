"""The client verbs of `medianest`: a running MediaNest from a terminal, over its API."""
