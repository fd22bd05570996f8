"""Monitoring: what the product knows of its own state."""
