"""`/flower/`: a proxy to Flower, which accepts its requests only, for admins who are signed in."""

from __future__ import annotations

import base64
import hashlib
import http.client
from collections.abc import Iterator
from urllib.parse import quote

from flask import Response, request

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import ANY_QUERY, FILE, Access
from api.wire.envelope import failure
from engine.errors import NotSetUp, ServiceUnavailable, Unauthorized
from engine.monitoring import flower_pass
from engine.permissions import Permission

SECONDS = 10.0  # that Flower may take for a page; it asks workers for some, for a second each
_CHUNK = 64 * 1024
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_ASKED = ("Accept", "If-None-Match", "If-Modified-Since")  # never cookies and tokens: they are ours
_ANSWERED = ("Content-Type", "Content-Length", "ETag", "Last-Modified", "Cache-Control")

_SIGN_IN_SCRIPT = """
"use strict";
const form = document.querySelector("form");
const post = (path, body, headers) => fetch("/api/v1" + path, {
  method: "POST", headers: {"Content-Type": "application/json", ...headers}, body: JSON.stringify(body),
});
async function renew() {  // a session of a quarter of an hour ago still has its refresh token
  const last = Number(sessionStorage.getItem("renewed") || 0);
  sessionStorage.setItem("renewed", Date.now());
  if (Date.now() - last < 60000) return false;
  const proof = (await (await fetch("/api/v1/csrf/token")).json()).data.csrfToken;
  return (await post("/auth/refresh", {}, {"X-CSRF-Token": proof})).ok;
}
renew().catch(() => false).then((done) => { if (done) location.reload(); else form.hidden = false; });
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await post("/auth/login", Object.fromEntries(new FormData(form)), {});
  if (answer.ok) location.reload();
  else document.querySelector("output").textContent = (await answer.json()).error.message;
});
"""

_SIGN_IN = f"""<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>MediaNest: sign in</title>
  </head>
  <body>
    <h1>MediaNest</h1>
    <form hidden>
      <p><label>E-mail <input name="email" type="email" autocomplete="username" required></label></p>
      <p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p>
      <p><button>Sign in</button> <output></output></p>
    </form>
    <script>{_SIGN_IN_SCRIPT}</script>
  </body>
</html>
"""


def _hash(script: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"


# The one script inside Flower's pages, of its list of workers. A test holds it against the page.
_FLOWER_SCRIPT = "\nvar autorefresh = 1;\n"
_CLOSED = "default-src 'none'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
_FLOWER_POLICY = (
    f"{_CLOSED}script-src 'self' {_hash(_FLOWER_SCRIPT)}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; form-action 'none'"
)
_SIGN_IN_POLICY = f"{_CLOSED}script-src {_hash(_SIGN_IN_SCRIPT)}; form-action 'self'"

blueprint = Blueprint("flower", "/flower", "Flower: workers and their tasks, for looking.", root=True)


@blueprint.operation("GET", "/", Access(Permission.OPERATIONS_VIEW), FILE, ANY_QUERY, own_units=True)
def flower_start(call: Call) -> Response:
    """Flower's list of workers."""
    return _page(call)


@blueprint.operation(
    "GET", "/<path:page>", Access(Permission.OPERATIONS_VIEW), FILE, ANY_QUERY, own_units=True
)
def flower_page(call: Call, page: str) -> Response:
    """A page of Flower, or what a page of it loads; those that change anything do not exist."""
    return _page(call)


def _sign_in(error: Unauthorized) -> Response:
    """A person gets a form, a program the error."""
    accepted = request.accept_mimetypes
    if accepted.best_match(["application/json", "text/html"]) != "text/html":
        return failure(error.code, error.message, error.status)
    headers = {"Content-Security-Policy": _SIGN_IN_POLICY, "Cache-Control": "no-store"}
    return Response(_SIGN_IN, error.status, headers, mimetype="text/html")


blueprint.register_error_handler(Unauthorized, _sign_in)


def _page(call: Call) -> Response:
    settings = call.settings
    if settings.flower_port == 0:
        raise NotSetUp("Flower is switched off: FLOWER_PORT is 0.", "FLOWER_PORT")
    target = _target()
    headers = {name: request.headers[name] for name in _ASKED if name in request.headers}
    headers[flower_pass.HEADER] = flower_pass.issue(settings, target)
    connection = http.client.HTTPConnection(settings.flower_host, settings.flower_port, timeout=SECONDS)
    try:
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise ServiceUnavailable("Flower does not answer at the moment.", str(error)) from None
    if answer.status == 403:
        connection.close()
        raise ServiceUnavailable(
            "Flower refuses this server: give both the same SECRET_KEY, and look whether something else "
            "listens at FLOWER_PORT."
        )
    return _relayed(connection, answer)


def _target() -> str:
    """Path and query as they came, so that nothing decoded here means something else there."""
    raw = str(request.environ.get("RAW_URI", ""))
    if not raw.startswith(flower_pass.PREFIX):  # another server than gunicorn, or a proxy's absolute form
        raw = quote(request.path) + (
            f"?{request.query_string.decode('latin-1')}" if request.query_string else ""
        )
    return quote(raw, safe=_PRINTABLE, encoding="latin-1")


def _relayed(connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> Response:
    headers = {name: value for name in _ANSWERED if (value := answer.headers.get(name)) is not None}
    headers.setdefault("Cache-Control", "no-store")
    headers["Content-Security-Policy"] = _FLOWER_POLICY
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    response = Response(_body(answer), answer.status, headers)
    response.call_on_close(connection.close)
    return response


def _body(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    while chunk := answer.read(_CHUNK):
        yield chunk
