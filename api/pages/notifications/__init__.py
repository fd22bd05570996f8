"""What one has been told, and what one is told where."""
