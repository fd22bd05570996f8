"""The pages of the library: libraries, items."""
