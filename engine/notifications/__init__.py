"""What users are told, and who is told."""
