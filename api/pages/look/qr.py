"""QR codes as paths of SVG."""

from __future__ import annotations

import segno


def path(text: str) -> tuple[int, str]:
    """The modules of a QR code.

    Args:
        text: to be read from it.

    Returns:
        How many modules it is wide, and the path that fills the dark ones; the quiet zone is the page's matter.
    """
    rows = [bytes(row) for row in segno.make_qr(text, error="m").matrix]
    dark = (f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, module in enumerate(row) if module)
    return len(rows), "".join(dark)
