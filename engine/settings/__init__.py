"""Settings that admins change while the product runs."""
