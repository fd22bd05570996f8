"""What people see of downloads: lists, what one waits for, why they failed, files and pictures."""
