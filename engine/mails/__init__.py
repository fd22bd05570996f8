"""E-mail: the texts, the queue, the delivery."""
