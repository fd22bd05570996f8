"""Secrets appear where they must and nowhere else: each is planted in a real installation, then looked for everywhere."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg
import pytest
import redis
import requests
import websocket
from fakes.mail_server import MailServer
from fakes.plextv import FakePlexServer, FakePlexTv
from psycopg import sql
from raw_http import answer_on
from stack import Stack, eventually, running

from config.celery import QUEUES
from config.redaction import redacted
from engine.secrets.rotation import SEALED
from tests import warm


def canary(name: str) -> str:
    """A text that stands nowhere else; the same in a URL as elsewhere."""
    return f"canary{name}".ljust(40, "0")


PLANTED = {
    name: canary(name)
    for name in (
        "databasepassword",
        "secretkey",
        "olderkey",
        "setuptoken",
        "plextoken",
        "adminpassword",
        "newpassword",
        "wrongpassword",
        "invitedpassword",
        "resetpassword",
        "mailpassword",
        "wrongmailpassword",
        "cookie",
        "userplextoken",
        "urlpassword",
        "inventedkey",
        "inventedticket",
        "malformed",
        "channelsecret",
        "roomsecret",
    )
}


class Witness:
    """Talks to the installation, and remembers every answer with the secrets that it may show."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.secrets = dict(PLANTED)
        self.heard: list[tuple[str, str, frozenset[str]]] = []
        self.token = ""

    def ask(
        self,
        method: str,
        path: str,
        status: int,
        *,
        shows: tuple[str, ...] = (),
        token: str | None = None,
        headers: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> requests.Response:
        """Send a request; `shows` are the fields of the answer whose values are secrets that it alone may show."""
        bearer = {"Authorization": f"Bearer {token or self.token}"} if token or self.token else {}
        url = self.stack.url + (path if path.startswith("/flower") else f"/api/v1{path}")
        answer = requests.request(method, url, headers={**bearer, **(headers or {})}, timeout=20, **kwargs)
        assert answer.status_code == status, (method, path, answer.status_code, answer.text)
        found = {f"{path} {name} {len(self.heard)}": str(answer.json()["data"][name]) for name in shows}
        self.secrets |= found
        self.heard.append(
            (f"{method} {path}", f"{dict(answer.headers)} {answer.text}", frozenset(found.values()))
        )
        return answer

    def listen(self, path: str, token: str) -> None:
        """Open a socket by a ticket, and hear what it says until it is closed."""
        answer = self.ask("POST", "/auth/ws-ticket", 200, shows=("ticket",), token=token)
        address = self.stack.url.replace("http", "ws") + path
        ticket = answer.json()["data"]["ticket"]
        opened = websocket.create_connection(f"{address}?ticket={ticket}", timeout=60)
        for used in (ticket, PLANTED["inventedticket"]):
            with pytest.raises(websocket.WebSocketBadStatusException) as refused:
                websocket.create_connection(f"{address}?ticket={used}", timeout=10)
            self.heard.append((f"refused {path}", str(refused.value), frozenset()))
        threading.Thread(target=self._hear, args=[path, opened], daemon=True).start()

    def _hear(self, path: str, opened: Any) -> None:
        with contextlib.suppress(websocket.WebSocketException, OSError):
            while True:
                self.heard.append((f"socket {path}", str(opened.recv()), frozenset()))

    def found_in(self, text: str, *, but: frozenset[str] = frozenset()) -> list[str]:
        """The names of the secrets that stand in a text beside the allowed ones, as they are or in base64."""
        for allowed in but:
            text = text.replace(allowed, "")
        return sorted(
            name for name, secret in self.secrets.items() if secret in text or _in_base64(secret) in text
        )


def _in_base64(secret: str) -> str:
    return base64.b64encode(secret.encode()).decode().rstrip("=")[:-2]


SIGNED_IN = ("token", "refreshToken", "csrfToken")


def test_no_secret_is_seen_where_it_must_not_be(
    tmp_path: Path,
    database_url: str,
    redis_url: str,
    mail_server: MailServer,
    plextv: FakePlexTv,
    plex_server: FakePlexServer,
) -> None:
    mail_server.behaviour.users = {"mailer": PLANTED["mailpassword"]}
    plain = database_url.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS canary")
        connection.execute(
            sql.SQL("CREATE ROLE canary SUPERUSER LOGIN PASSWORD {}").format(PLANTED["databasepassword"])
        )
    login = f"canary:{PLANTED['databasepassword']}@"
    stack = Stack(
        tmp_path,
        re.sub(r"://[^/]*/", f"://{login}/", database_url),
        redis_url,
        APP_ENV="production",
        LOG_LEVEL="debug",
        SECRET_KEY=PLANTED["secretkey"],
        SECRET_KEY_PREVIOUS=PLANTED["olderkey"],
        SETUP_TOKEN=PLANTED["setuptoken"],
        PLEX_URL=plex_server.url,
        PLEX_TOKEN=PLANTED["plextoken"],
        PLEX_TV_URL=plextv.url,
        PUBLIC_URL="https://media.example",
    )
    stack.warm = False  # their command lines are looked at
    with running(stack):
        stack.start_web()
        stack.start_worker("all", ",".join(QUEUES))
        witness = Witness(stack)
        live(witness, mail_server, plextv)
        spoken = [_commands(stack)]
        lines = " ".join(
            part
            for process in stack.processes.values()
            for each in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            for part in each.cmdline()
        )
        logs = {path.name: path.read_text(errors="replace") for path in tmp_path.glob("*.log")}
        database = _dumped(stack)
        with redis.Redis.from_url(redis_url) as client:
            kept = b" ".join(client.dump(key) or b"" for key in client.scan_iter()).decode("latin-1")

    # Given that what goes wrong was really written down, then no secret is in any of it.
    everything = "".join(logs.values())
    for event in ("request.failed", "request.refused", "request.malformed", "job.started", '"debug"'):
        assert event in everything, event
    for name, text in logs.items():
        assert (name, witness.found_in(text)) == (name, [])
    for where, text, allowed in witness.heard:
        assert (where, witness.found_in(text, but=allowed)) == (where, [])
    assert any(where.startswith("socket") for where, _, _ in witness.heard)
    for table, text in database.items():
        assert (table, witness.found_in(text)) == (table, [])
    assert witness.found_in(kept) == []
    assert witness.found_in(lines) == []
    for text in spoken:
        assert witness.found_in(text) == []

    # And whatever is sealed is known to the rotation of the key.
    sealed = {table for table, text in database.items() if "gAAAAA" in text}
    assert {"secrets", "stored_settings"} <= sealed <= {table for table, _, _ in SEALED}
    assert len(witness.secrets) > 40


def live(witness: Witness, mail: MailServer, plextv: FakePlexTv) -> None:
    """Everything that has to do with secrets happens, rightly and wrongly."""
    boss = _administrator(witness)
    witness.token = boss["token"]
    witness.listen("/ws/authenticated", boss["token"])
    witness.listen("/ws/admin", boss["token"])
    _settings(witness, mail)
    _keys(witness)
    _passwords(witness, boss)
    _mails(witness, mail)
    _channels(witness)
    _plex(witness, plextv)
    _looking(witness)
    _nonsense(witness)
    _failures(witness)


def _administrator(witness: Witness) -> dict[str, Any]:
    body = {"email": "boss@example.com", "password": PLANTED["adminpassword"], "name": "Ann"}
    witness.ask("POST", "/auth/admin", 403, json={**body, "setupToken": PLANTED["wrongpassword"]})
    body["setupToken"] = PLANTED["setuptoken"]
    witness.ask("POST", "/auth/admin", 201, json=body, shows=SIGNED_IN)
    wrong = {"email": "boss@example.com", "password": PLANTED["wrongpassword"]}
    witness.ask("POST", "/auth/login", 401, json=wrong)
    witness.ask("POST", "/auth/login", 401, json={**wrong, "email": "nobody@example.com"})
    witness.ask("POST", "/auth/login", 400, json={"password": PLANTED["wrongpassword"], "unknown": 1})
    right = {"email": "boss@example.com", "password": PLANTED["adminpassword"]}
    first = witness.ask("POST", "/auth/login", 200, json=right, shows=SIGNED_IN).json()["data"]
    # A session whose refresh token is used again later: ended, and noted.
    body = {"refreshToken": first["refreshToken"]}
    for _ in range(2):
        second = witness.ask("POST", "/auth/refresh", 200, json=body, shows=SIGNED_IN).json()["data"]
    body = {"refreshToken": second["refreshToken"]}
    witness.ask("POST", "/auth/refresh", 200, json=body, shows=SIGNED_IN)
    witness.ask("POST", "/auth/refresh", 401, json={"refreshToken": first["refreshToken"]})
    signed_in = witness.ask("POST", "/auth/login", 200, json=right, shows=SIGNED_IN).json()["data"]
    return dict(signed_in)


def _settings(witness: Witness, mail: MailServer) -> None:
    for url in (f"https://u:{PLANTED['wrongmailpassword']}@x", [PLANTED["wrongmailpassword"]]):
        witness.ask("PATCH", "/admin/settings", 400, json={"smtpUrl": url})
    witness.ask("PATCH", "/admin/settings", 409, json={"plexToken": PLANTED["wrongpassword"]})
    wrong = mail.url(login=f"mailer:{PLANTED['wrongmailpassword']}")
    witness.ask("PATCH", "/admin/settings", 200, json={"smtpUrl": wrong})
    witness.ask("GET", "/admin/settings", 200)
    file = f"# Netscape HTTP Cookie File\n.youtube.com\tTRUE\t/\tTRUE\t2000000000\tSID\t{PLANTED['cookie']}\n"
    witness.ask("PUT", "/admin/cookies", 200, json={"cookies": file})
    witness.ask("PUT", "/admin/cookies", 400, json={"cookies": PLANTED["cookie"]})
    witness.ask("GET", "/admin/cookies", 200)


def _keys(witness: Witness) -> None:
    body = {"name": "script", "permissions": ["media.read", "profile.read"]}
    made = witness.ask("POST", "/users/me/api-keys", 201, json=body, shows=("key",)).json()["data"]
    witness.token, token = "", witness.token
    witness.ask("GET", "/users/me", 200, headers={"X-Api-Key": made["key"]})
    witness.ask("GET", "/admin/users", 403, headers={"X-Api-Key": made["key"]})
    witness.ask("GET", "/users/me", 401, headers={"X-Api-Key": f"mn_{PLANTED['inventedkey']}"})
    witness.ask("GET", "/users/me", 401, headers={"Authorization": f"Bearer {PLANTED['inventedkey']}"})
    witness.ask("GET", "/users/me", 401, headers={"Cookie": f"medianest_access={PLANTED['inventedkey']}"})
    witness.token = token
    witness.ask("GET", "/users/me/api-keys", 200)


def _passwords(witness: Witness, boss: dict[str, Any]) -> None:
    change = {"currentPassword": PLANTED["wrongpassword"], "newPassword": PLANTED["newpassword"]}
    answer = requests.post(
        f"{witness.stack.url}/api/v1/users/me/password",
        json=change,
        headers={"Authorization": f"Bearer {boss['token']}"},
        timeout=20,
    )
    assert answer.status_code in {400, 401, 403}, answer.text
    witness.heard.append(("wrong current password", answer.text, frozenset()))
    body = {"email": "carol@example.com", "password": PLANTED["newpassword"], "name": "Carol", "role": "user"}
    witness.ask("POST", "/admin/users", 201, json=body)
    witness.ask("POST", "/admin/users", 409, json=body)


def _channels(witness: Witness) -> None:
    """Messages by addresses with secrets in them: accepted, refused, and not delivered."""
    secret = PLANTED["channelsecret"]
    mine = {"kind": "apprise", "name": "Phone", "url": f"json://me:{secret}@127.0.0.1:9/{secret}"}
    witness.ask(
        "PUT", "/users/me/notifications", 400, json={"channels": [{**mine, "url": f"mailto://{secret}"}]}
    )
    made = witness.ask("PUT", "/users/me/notifications", 200, json={"channels": [mine]}).json()["data"]
    body = {"channelId": made["channels"][0]["id"]}
    tried = witness.ask("POST", "/users/me/notifications/test", 200, json=body).json()["data"]
    assert tried == {
        "delivered": False,
        "error": "This address lies in a network where messages are not sent to.",
    }
    rooms = f"json://127.0.0.1:9/{PLANTED['roomsecret']}"
    witness.ask("PATCH", "/admin/settings", 200, json={"notifyUrls": rooms})
    witness.ask("GET", "/admin/deliveries", 200)


def _mails(witness: Witness, mail: MailServer) -> None:
    """An invitation and a reset, first by a mail server that refuses our password."""
    early, invited = {"email": "erin@example.com"}, {"email": "dave@example.com"}
    witness.ask("POST", "/admin/invitations", 201, json=early, shows=("url",))
    failed = "SELECT 1 FROM mails WHERE error IS NOT NULL"
    eventually(lambda: witness.stack.query(failed), what="the mail server's refusal is noted")
    assert "AUTH" in mail.reached
    right = mail.url(login=f"mailer:{PLANTED['mailpassword']}")
    witness.ask("PATCH", "/admin/settings", 200, json={"smtpUrl": right})
    witness.ask("POST", "/admin/invitations", 201, json=invited, shows=("url",))
    link = _link(mail, "dave@example.com", "the invitation arrives")
    witness.secrets["token of the invitation"] = link["token"][0]
    account = {"token": link["token"][0], "name": "Dave", "password": PLANTED["invitedpassword"]}
    witness.ask("POST", "/auth/invitations/accept", 404, json={**account, "token": PLANTED["wrongpassword"]})
    witness.ask("POST", "/auth/invitations/accept", 201, json=account, shows=SIGNED_IN)

    witness.ask("POST", "/auth/password-reset/request", 200, json=invited)
    link = _link(mail, "dave@example.com", "the reset arrives", after="invitation")
    witness.secrets["token of the reset"] = link["token"][0]
    proof = {"token": link["token"][0], "tokenId": link["tokenId"][0]}
    witness.ask("POST", "/auth/password-reset/verify", 200, json=proof)
    chosen = {"token": link["token"][0], "newPassword": PLANTED["resetpassword"]}
    witness.ask("POST", "/auth/password-reset/confirm", 200, json=chosen)
    witness.ask("POST", "/auth/password-reset/confirm", 404, json=chosen)


def _link(mail: MailServer, recipient: str, what: str, *, after: str = "") -> dict[str, list[str]]:
    def newest() -> str | None:
        links = [found.link for found in mail.to(recipient)]
        return next((link for link in reversed(links) if not after or after not in link), None)

    link = eventually(newest, what=what)
    parts = urlsplit(link)
    return parse_qs(parts.query or parts.fragment)


def _plex(witness: Witness, plextv: FakePlexTv) -> None:
    bob = plextv.account("bob", servers={"our-server"}, token=PLANTED["userplextoken"])
    witness.token, token = "", witness.token
    begun = witness.ask("POST", "/auth/plex/pin", 201, json={})
    browser = {"Cookie": f"medianest_browser={begun.cookies['medianest_browser']}"}
    proof = witness.ask("GET", "/csrf/token", 200, shows=("csrfToken",), headers=browser).json()["data"]
    plextv.claim(begun.json()["data"]["id"], bob)
    headers = {**browser, "X-CSRF-Token": proof["csrfToken"]}
    body = {"pinId": begun.json()["data"]["id"]}
    witness.ask("POST", "/auth/plex/verify", 200, json=body, headers=headers, shows=SIGNED_IN)
    witness.ask("POST", "/auth/plex/verify", 404, json=body, headers=headers)
    witness.token = token


def _looking(witness: Witness) -> None:
    for path in (
        "/admin/settings",
        "/admin/users",
        "/admin/audit?limit=100",
        "/admin/invitations",
        "/auth/sessions",
        "/auth/session",
        "/dashboard/notifications",
        "/users/me",
        "/health",
        "/openapi.json",
        "/admin/queues",
    ):
        if path == "/openapi.json":
            answer = requests.get(f"{witness.stack.url}/api/v1{path}", timeout=20)
            witness.heard.append((path, answer.text, frozenset()))
        else:
            witness.ask("GET", path, 200)


def _nonsense(witness: Witness) -> None:
    film = f"http://ann:{PLANTED['urlpassword']}@127.0.0.1:1/film.mp4"
    witness.ask("POST", "/youtube/download", 400, json={"url": film})
    witness.ask("GET", f"/nowhere?token={PLANTED['malformed']}", 404)
    witness.ask("GET", f"/users/me?token={PLANTED['malformed']}", 400)
    for line in (f"GET /?token={PLANTED['malformed']} HTTP/9.9", f"{PLANTED['malformed']}"):
        with socket.create_connection(("127.0.0.1", witness.stack.port), timeout=10) as raw:
            raw.sendall(f"{line}\r\nAuthorization: Bearer {PLANTED['malformed']}\r\n\r\n".encode())
            with contextlib.suppress(OSError):
                witness.heard.append(("malformed", str(answer_on(raw)), frozenset()))


def _failures(witness: Witness) -> None:
    """Requests that end in a 500, with secrets in hand."""
    stack = witness.stack
    right = {"email": "boss@example.com", "password": PLANTED["adminpassword"]}
    broken = (
        ("logins", "POST", "/auth/login", right),
        ("secrets", "PUT", "/admin/cookies", {"cookies": f"# Netscape HTTP Cookie File\nx.com\tTRUE\t/\tTRUE\t2000000000\tS\t{PLANTED['cookie']}\n"}),
        ("api_keys", "POST", "/users/me/api-keys", {"name": "x", "permissions": ["media.read"]}),
        ("mails", "POST", "/admin/invitations", {"email": "eve@example.com"}),
        ("audit_entries", "PATCH", "/admin/settings", {"smtpUrl": f"smtp://u:{PLANTED['mailpassword']}@x"}),
    )  # fmt: skip
    for table, method, path, body in broken:
        # A constraint that no row passes: PostgreSQL then shows the whole row, SQLAlchemy the parameters.
        stack.query(f"ALTER TABLE {table} ADD CONSTRAINT broken CHECK (false) NOT VALID")
        try:
            answer = requests.request(
                method,
                f"{stack.url}/api/v1{path}",
                json=body,
                headers={"Authorization": f"Bearer {witness.token}"} if path != "/auth/login" else {},
                timeout=20,
            )
        finally:
            stack.query(f"ALTER TABLE {table} DROP CONSTRAINT broken")
        assert answer.status_code == 500, (table, answer.status_code, answer.text)
        witness.heard.append((f"500 {path}", f"{dict(answer.headers)} {answer.text}", frozenset()))


def _commands(stack: Stack) -> str:
    """What commands say."""
    said = ""
    for words in (["doctor"], ["rotate-key"], ["backup", str(stack.folder / "secret-backup.tar")]):
        done = warm.medianest(words, stack.env, stack.folder)
        said += done.stdout + done.stderr
    assert "stored secrets" in said
    return said


def _dumped(stack: Stack) -> dict[str, str]:
    """Every row of every table as text."""
    tables = stack.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {
        table: "\n".join(row for (row,) in stack.query(f'SELECT t::text FROM "{table}" t'))
        for (table,) in tables
    }


@pytest.mark.parametrize(
    "text",
    [
        "https://ann:{}@host/film.mp4",
        "postgresql://:{}@host/db",
        "GET /ws?ticket={}&a=1",
        "https://plex.tv/api?X-Plex-Token={}&b=2",
        "Authorization: Bearer {}",
        "{{'Authorization': 'Bearer {}', 'X-Api-Key': '{}'}}",
        '{{"newPassword": "{}", "a": 1}}',
        "('X-Plex-Token', '{}')",
        "Cookie: medianest_access={}; other={}",
        "no such key: mn_{}",
        "eyJhbGciOiJI.{}.c2ln",
        "[SQL: INSERT INTO users]\n[parameters: {{'a': '{}'}}]\n(Background on this error)",
        "Invalid request from ip=127.0.0.1: Invalid HTTP request line: '{}'",
        "new row violates\nDETAIL:  Failing row contains (1, {}).",
    ],
)
def test_what_looks_like_a_secret_is_blanked_in_logs(text: str) -> None:
    secret = canary("log")
    line = redacted({"text": text.format(secret, secret), "password": secret, "deep": [{"token": secret}]})
    assert secret not in str(line)


@pytest.mark.parametrize(
    "text",
    ["request.refused", "the token has expired", "KeyError: 'token'", "exit code=1", "/auth/ws-ticket"],
)
def test_other_words_are_left_alone(text: str) -> None:
    assert redacted(text) == text
