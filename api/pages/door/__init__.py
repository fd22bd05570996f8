"""Who comes to a page and how it answers: session, language, forms, flash messages, errors."""
