"""Reads XML that other systems wrote: a character that XML has no place for costs itself, and no entity is expanded."""

from __future__ import annotations

import re
from xml.etree import ElementTree

# It names an encoding, where the text is decoded already.
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]{0,200}\?>")
_DEFINITION = re.compile("<!(?!--)")
# What XML 1.0 has no place for: raw, or written as a number.
_NO_XML = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|&#(?:0*(?:[0-8]|1[124-9]|2[0-9]|3[01])|[xX]0*(?:[0-8bBcCeEfF]|1[0-9a-fA-F]|[dD][89a-fA-F][0-9a-fA-F]{2}));"
)


class NotXml(ValueError):
    """It is no XML, or defines entities, which could grow without end."""


def root_of(body: bytes) -> ElementTree.Element:
    """The root of the document.

    Raises:
        NotXml: it is cut short, something else, or has a document type.
    """
    text = body.decode("utf-8-sig", "replace")
    if _DEFINITION.search(text):
        raise NotXml
    plain = _NO_XML.sub("\ufffd", _DECLARATION.sub("", text, count=1))
    try:
        return ElementTree.fromstring(plain)  # noqa: S314 - without entities there is nothing to fear
    except ElementTree.ParseError:
        raise NotXml from None
