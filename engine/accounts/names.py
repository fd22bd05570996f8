"""What a person's name may consist of: any script, but nothing that changes how the line around it reads."""

from __future__ import annotations

import re

# Control characters, line separators, and those that embed, override or isolate a direction of writing.
UNWANTED = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069]")


def cleaned(text: str) -> str:
    """A name that another system tells, without what ours may not have."""
    return UNWANTED.sub("", text).strip()
