"""The pages below `/admin`: for those who look after the installation."""
