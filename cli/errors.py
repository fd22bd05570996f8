"""The one error that ends a command with a plain line."""


class CommandError(RuntimeError):
    """The command cannot go on; the text is one line that says why and what to do."""
