"""Users and invitations, for who manages them."""
