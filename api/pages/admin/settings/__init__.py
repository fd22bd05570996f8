"""Settings that are changed while everything runs."""
