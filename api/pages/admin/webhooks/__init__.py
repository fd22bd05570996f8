"""What other systems send, and who may."""
