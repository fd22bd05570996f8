"""Search over what the product knows."""
