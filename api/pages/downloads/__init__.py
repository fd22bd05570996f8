"""The pages of downloads: the form, the list, one of them, its file."""
