"""The `medianest` command: everything that a person types."""
