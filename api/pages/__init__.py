"""Pages of HTML that people open in a browser."""
