"""What every page is made with: templates, words, formats, icons, static files."""
