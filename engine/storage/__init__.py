"""The file system: names, folders, and what a file is known by."""
