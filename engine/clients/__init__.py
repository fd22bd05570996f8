"""The only rooms that know a vendor's SDK; everything above speaks in our own words."""
