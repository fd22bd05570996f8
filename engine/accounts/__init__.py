"""Accounts: users, invitations, sign-in by password and by Plex, and what admins and users change about them."""
