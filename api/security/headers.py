"""The security headers of every answer, be it data, an error, a page or a file."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from flask import Flask, Response, request

DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_PAGE_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; script-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'"
)
_POLICIES = {"documentation.documentation_page": _PAGE_POLICY}  # other pages bring their own

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": (
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), "
        "microphone=(), midi=(), payment=(), usb=()"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_STRICT_TRANSPORT = (
    "max-age=31536000"  # a year; for this host alone: others below the domain are not ours to bind
)


def init_app(app: Flask, *, production: bool) -> None:
    """Add the headers to every answer; what a view has set itself stays.

    Args:
        app: to be extended.
        production: requests by https are answered with `Strict-Transport-Security`.
    """

    def protect(response: Response) -> Response:
        headers = response.headers
        if response.status_code == 308:
            _stay_here(response)
        present = {name.lower() for name, _ in headers}
        for name, value in ALWAYS.items():
            if name.lower() not in present:
                headers.add(name, value)
        if "content-security-policy" not in present:
            headers.add("Content-Security-Policy", _POLICIES.get(request.endpoint or "", DATA_POLICY))
        if production and request.is_secure:
            headers["Strict-Transport-Security"] = _STRICT_TRANSPORT
        return response

    app.after_request(protect)


def _stay_here(response: Response) -> None:
    """Redirect to the path alone: werkzeug adds the host of the client's Host header, which may be anything."""
    target = urlsplit(response.location or "")
    response.location = urlunsplit(("", "", "/" + target.path.lstrip("/"), target.query, ""))
    response.set_data(b"")
