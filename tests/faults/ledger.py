"""What one scenario asked for, and whether that is what came of it."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults.pieces import packets

if TYPE_CHECKING:
    from tests.faults.installation import Installation

_SHOWN = 12


@dataclass
class Wish:
    """A download that was asked for: the plain path of its source, and how it may end."""

    source: str
    ends: set[str]
    removed: bool = False  # the row was deleted after its end; its file stays
    model: str | None = None  # a download with the same packets, where ffmpeg made the file


@dataclass
class Verdict:
    """What a scenario's ledger says in the end."""

    jobs: int = 0
    completed: int = 0
    cancelled: int = 0
    failed: int = 0
    attempts: int = 0
    crashes: int = 0
    problems: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def report(self) -> dict[str, Any]:
        counts = {kind: len(found) for kind, found in self.problems.items()}
        kinds = ("lost", "doubled", "stuck", "different", "partial", "broken promise")
        return {
            **{name: value for name, value in vars(self).items() if name != "problems"},
            **{kind: counts.get(kind, 0) for kind in kinds},
            "problems": [
                f"{kind}: {text}" for kind, found in self.problems.items() for text in found[:_SHOWN]
            ],
        }


class Ledger:
    """Asks for downloads into a folder of the scenario's own, and compares in the end."""

    def __init__(self, installation: Installation, name: str) -> None:
        self.installation, self.folder = installation, name
        self.wishes: dict[str, Wish] = {}
        self.verdict = Verdict()
        self._numbers = 0
        self._settled = False
        self._disregarded: set[str] = set()

    def ask(
        self, size: int | None = 150_000, *, kind: str = "direct", ends: str = "completed", **query: Any
    ) -> str:
        """Ask for a file that nobody asked for before; returns the download's id.

        `query` is the site's behaviour; with `format` and `quality` among it the wish is no longer for the file
        as it is. `ends` are the states, divided by `|`, that the download may end in.
        """
        wishes = {key: query.pop(key) for key in ("format", "quality") if key in query}
        plain, url = self.url(size, kind=kind, **query)
        download_id = self.installation.ask(url, downloadPath=self.folder, **wishes)
        self.note(download_id, plain, ends)
        return download_id

    def url(self, size: int | None = 150_000, *, kind: str = "direct", **query: Any) -> tuple[str, str]:
        """The plain path and the full URL of a resource that nobody asked for before."""
        self._numbers += 1
        name = f"{self.folder}-{self._numbers}"
        manifest = {"hls": "master.m3u8", "dash": "manifest.mpd"}.get(kind)
        plain = f"/{kind}/{name}/{manifest}" if manifest else f"/{kind}/{name}.mp4"
        if size is not None and kind == "direct":
            query = {"size": size, **query}
            plain += f"?size={size}"
        bare = plain.partition("?")[0]
        words = "&".join(f"{key}={value}" for key, value in query.items())
        return plain, f"{self.installation.site.url}{bare}?{words}"

    def note(self, download_id: str, plain: str, ends: str = "completed") -> None:
        """Enter a download that was asked for by other means."""
        self.wishes[download_id] = Wish(plain, set(ends.split("|")))

    def compare_packets(self, download_id: str, model: str) -> None:
        """Hold its file against that of another download: a file that ffmpeg made is no copy of its source."""
        self.wishes[download_id].model = model

    def disregard(self, download_id: str, path: str) -> None:
        """Take out a download that was removed and left its file, which is no copy of its source."""
        del self.wishes[download_id]
        self._disregarded.add(path)

    def active(self) -> int:
        """How many of its downloads have not ended."""
        query = "SELECT count(*) FROM downloads WHERE folder = %s AND ended_at IS NULL"
        return int(self.installation.rows(query, [self.folder])[0][0])

    def drain(self, seconds: float) -> None:
        """Wait until all have ended; what has not after `seconds` is stuck."""
        deadline = time.monotonic() + seconds
        while self.active() and time.monotonic() < deadline:
            time.sleep(0.2)
            self.installation.supervise()

    def settle(self) -> Verdict:
        """Compare rows, files, events and what the watcher saw with what was asked for; once."""
        if self._settled:
            return self.verdict
        self._settled = True
        rows = self._rows()
        self._check_rows(rows)
        self._check_files(rows)
        self._check_events()
        return self.verdict

    def _rows(self) -> dict[str, dict[str, Any]]:
        found = self.installation.rows(
            "SELECT id, url, status, ended_at, file, attempt, epoch, crash_count, error FROM downloads"
            " WHERE folder = %s",
            [self.folder],
        )
        names = ("id", "url", "status", "ended_at", "file", "attempt", "epoch", "crash_count", "error")
        return {row[0]: dict(zip(names, row, strict=True)) for row in found}

    def _check_rows(self, rows: dict[str, dict[str, Any]]) -> None:
        problems, verdict = self.verdict.problems, self.verdict
        verdict.jobs = len(self.wishes)
        for row_id, wish in self.wishes.items():
            row = rows.get(row_id)
            if row is None:
                if not wish.removed:
                    problems["lost"].append(f"{row_id} has no row")
                continue
            if row["ended_at"] is None:
                problems["stuck"].append(
                    f"{row_id} is {row['status']}, attempt {row['attempt']}: {row['error']}"
                )
            elif row["status"] not in wish.ends:
                problems["lost"].append(
                    f"{row_id} ended {row['status']}: {json.dumps(row['error'])} {row['url']}"
                )
        ends = Counter(row["status"] for row in rows.values())
        verdict.completed = ends["completed"] + sum(wish.removed for wish in self.wishes.values())
        verdict.cancelled, verdict.failed = ends["cancelled"], ends["failed"]
        verdict.attempts = sum(row["attempt"] for row in rows.values())
        verdict.crashes = sum(row["crash_count"] for row in rows.values())
        for row_id in rows.keys() - self.wishes.keys():
            problems["doubled"].append(f"{row_id}: nobody asked for this row ({rows[row_id]['url']})")

    def _check_files(self, rows: dict[str, dict[str, Any]]) -> None:
        """Every file of this folder under the installation's present `DOWNLOAD_DIR`."""
        problems, root = self.verdict.problems, self.installation.downloads
        sights = self.installation.sights(root, self.folder)
        expected: dict[str, str] = {}
        models: dict[str, Path] = {}
        for row_id, wish in self.wishes.items():
            row = rows.get(row_id)
            if row is not None and row["status"] == "completed":
                expected[row["file"]["path"]] = wish.source
                if wish.model is not None and rows[wish.model]["file"]:
                    models[row["file"]["path"]] = root / rows[wish.model]["file"]["path"]
            elif row is None and wish.removed:
                name = Path(wish.source.partition("?")[0]).stem
                expected[f"{self.folder}/{name} [{name}].mp4"] = wish.source
        present = {
            str(path.relative_to(root)) for path in (root / self.folder).rglob("*") if not path.is_dir()
        } - self._disregarded
        problems["lost"] += [f"{path} is not there" for path in sorted(expected.keys() - present)]
        problems["doubled"] += [
            f"{path} belongs to no download" for path in sorted(present - expected.keys())
        ]
        for path in expected.keys() & present:
            source = digest = self.installation.digest(root / path)
            if path not in models:
                source = self.installation.site.digest(expected[path])
            elif packets(root / path) != packets(models[path]):
                problems["different"].append(f"{path}: other packets than {models[path].name}")
            if digest != source:
                problems["different"].append(path)
            if sights[path] != [("appeared", source)]:
                problems["partial"].append(f"{path}: {sights[path]}, source {source[:8]}")
        for path in sights.keys() - expected.keys() - self._disregarded:
            problems["doubled"].append(f"{path} was seen, and belongs to no download")

    def _check_events(self) -> None:
        for row_id in self.wishes:
            count = self.installation.events[row_id]
            if count > 1:
                self.verdict.problems["doubled"].append(f"{row_id} was told completed {count} times")
