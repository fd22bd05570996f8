"""What a URL holds, shown before anybody downloads it."""
