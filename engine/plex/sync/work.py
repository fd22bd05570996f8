"""The work of a sync: connection, authentication, libraries one by one, report.

Each library is written in one transaction together with its line in the run's report, so an attempt that follows a
crash goes on at the library where the last one stopped.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from engine.clients.plex.errors import PlexError, PlexGarbled, PlexGone, PlexUnauthorized
from engine.clients.plex.library import PlexLibrary
from engine.job_names import Job
from engine.jobs import lease
from engine.jobs.bell import enqueue
from engine.jobs.kinds import JobKind
from engine.jobs.runner import Attempt, GiveUp, Retry
from engine.plex.recognition.staging import PART, Changes, StagingTable
from engine.plex.server import connection, libraries
from engine.plex.server.connection import PlexConnection
from engine.plex.sync import admin_notices, collections, items_pass, library_pass
from engine.plex.sync import changes as sync_changes
from engine.plex.sync import runs as sync
from engine.plex.sync.asking import LOCAL, Asking
from engine.plex.sync.collections import CollectionListing
from engine.plex.sync.leased_calls import LeasedCalls
from engine.plex.sync.library_pass import FAILED, LibraryReport, PassOutcome, SectionPass
from engine.stores.database_errors import is_refused, reason
from models.media import MediaItem
from models.plex_library import PlexSection
from models.sync_run import SyncRun

log = structlog.get_logger(__name__)


def _one_at_a_time(db: Session, settings: object) -> Sequence[Any]:
    held = select(SyncRun.id).where(SyncRun.lease_until.is_not(None), SyncRun.ended_at.is_(None))
    return [~held.exists()]


def _changed(db: Session, run: SyncRun) -> None:
    sync.announce(db, run)
    if run.ended_at is not None and run.counts["deleted"]:
        enqueue(db, Job.CHECK_AVAILABILITY)  # while it ran, nothing was taken back
    if run.status == "failed":
        admin_notices.failed(db, run)
    elif run.status == "completed":
        admin_notices.partly_failed(db, run)


SYNC = JobKind(
    job=Job.SYNC,
    model=SyncRun,
    running="running",
    long=True,
    limits=_one_at_a_time,
    attempts=lambda settings: 3,
    pause=lambda settings, attempt: 5.0 * attempt,
    changed=_changed,
)


def work(attempt: Attempt[SyncRun]) -> Mapping[str, Any]:
    """Sync the catalogue with the server; returns the columns of the completed row.

    Raises:
        Retry: the server can't be reached, or its answers can't be parsed.
        GiveUp: nothing is configured, the token is refused, or it is another server.
        Fenced, CancelRequested, ShuttingDown: see `engine.jobs`.
    """
    runtime = attempt.runtime
    with runtime.unit_of_work() as db:
        configured = connection.configured(db, runtime.settings)
    if configured is None:
        raise GiveUp(_said("not_configured", "No Plex server is configured.", "An admin configures one."))
    library = configured.library()
    try:
        return _Run(attempt, configured, library).go()
    except PlexError as error:
        with runtime.unit_of_work() as db:
            libraries.failed(db, configured, error)
        raise failure(error) from error
    finally:
        library.close()


def failure(error: PlexError) -> Retry | GiveUp:
    """Map an error of the client to the outcome of the job."""
    if isinstance(error, PlexUnauthorized):
        advice = "An admin connects the server anew: its token is not valid any more."
        return GiveUp(_said(error.kind, str(error), advice))
    advice = "Look whether the server runs and can be reached from here; the next sync tries again."
    return Retry(_said(error.kind, str(error), advice, retryable=True))


@dataclass(frozen=True)
class _FailedLibrary:
    """A library that could not be read although the server answers other queries."""

    line: dict[str, Any]
    error: PlexError


class _Run:
    def __init__(self, attempt: Attempt[SyncRun], configured: PlexConnection, library: PlexLibrary) -> None:
        self._attempt, self._library, self._configured = attempt, library, configured
        self._runtime, self._run = attempt.runtime, attempt.row
        self._calls = LeasedCalls(attempt)
        self._done = [line for line in attempt.row.sections if line.get("mode") != FAILED]
        self._failed: list[_FailedLibrary] = []
        self._server_id = ""
        self._removed: dict[str, dict[str, Any]] = {}  # items, and their line of the report

    def go(self) -> Mapping[str, Any]:
        began = time.monotonic()
        self._meet()
        with self._runtime.database.engine.connect() as connection:
            stage = StagingTable(connection)
            asking = Asking(self._library, self._calls, stage, self._server_id)
            try:
                if self._run.rating_keys is None:
                    self._all_sections(asking)
                else:
                    outcome = items_pass.look(asking, self._run.rating_keys)
                    self._write(asking, outcome, quiet=False)
            finally:
                stage.close()
        trouble = self._unless_again()
        with self._runtime.unit_of_work() as db:
            _lightly(db)
            libraries.synced(db, self._server_id, trouble)
        log.info("sync.completed", counts=self._counts(), seconds=round(time.monotonic() - began, 3))
        return {"counts": self._counts(), "sections": self._lines()}

    def _meet(self) -> None:
        """Identify the server and check that it accepts our token."""
        identity = self._calls.call(self._library.identity)
        expected = self._configured.machine_id
        if expected is not None and identity["machineIdentifier"] != expected:
            raise GiveUp(
                _said(
                    "other_server",
                    "Another Plex server answers at this address.",
                    "Nothing was changed. An admin connects the right one.",
                )
            )
        try:
            facts = self._calls.call(self._library.container, "/")
        except (PlexGone, PlexGarbled):
            facts = {}  # only the server's name; the list of libraries shows that it accepts the token
        with self._runtime.unit_of_work() as db:
            _lightly(db)
            self._server_id = libraries.met(db, self._configured, identity, facts)
            lease.write(db, SYNC, self._run, unless_cancelled=True, server_id=self._server_id)

    def _all_sections(self, asking: Asking) -> None:
        listed = asking.libraries()
        with self._runtime.reading() as db:
            before = libraries.section_keys(db, self._server_id)
        absent = asking.absent(before, listed)
        with self._runtime.unit_of_work() as db:
            _lightly(db)
            known, gone = libraries.note_sections(db, self._server_id, listed.entries, absent)
        done = {report["key"] for report in self._done}
        for number, entry in enumerate(listed.entries, 1):
            section = known[str(entry["key"])]
            if section.key not in done:
                self._section(asking, entry, section)
            self._tell(number, len(listed.entries), section.title)
        for section in gone:
            if section.key not in done:
                self._vanished(asking, section)

    def _section(self, asking: Asking, entry: Mapping[str, Any], section: PlexSection) -> None:
        try:
            outcome = SectionPass(asking, entry, section).look(full=self._run.full)
            members = self._members(asking, section, outcome)
            self._write(asking, outcome, quiet=section.full_at is None, members=members)
        except (PlexGone, *LOCAL) as error:
            asking.stage.clear()
            # An error of this library, as long as the server answers this; or it was removed meanwhile.
            if section.key in {str(one["key"]) for one in asking.libraries().entries}:
                self._note_failed(section, error)
        except DBAPIError as error:
            if not is_refused(error):
                raise
            asking.start_over()
            log.error("sync.library_refused", section=section.title, reason=reason(error))
            self._note_failed(section, PlexGarbled("The catalogue can't hold what it tells."))

    def _members(
        self, asking: Asking, section: PlexSection, outcome: PassOutcome
    ) -> CollectionListing | None:
        """The collections of a library, where they may have changed; None: unchanged."""
        if section.type not in library_pass.TYPES or not (self._run.full or outcome.changed):
            return None
        try:
            return self._calls.call(collections.listed, self._library, section.key)
        except PlexGone:
            return None  # a server without collections
        except LOCAL as error:
            asking.libraries()
            log.warning("sync.collections_failed", section=section.title, reason=str(error))
            outcome.report.add_note("Its collections could not be read and were left as they are.")
            outcome.marks["changed_mark"] = None  # so that the next sync asks again
            return None

    def _note_failed(self, section: PlexSection, error: PlexError) -> None:
        """Record the failure and go on; the next attempt reads this library alone."""
        log.warning("sync.library_failed", section=section.title, reason=str(error))
        report = LibraryReport(section.key, section.title, section.type, mode=FAILED, complete=False)
        report.add_note(f"It could not be read, and was left as it is. {error}")
        self._failed.append(_FailedLibrary(report.shown(), error))
        with self._runtime.unit_of_work() as db:
            _lightly(db)
            lease.write(db, SYNC, self._run, unless_cancelled=True, sections=self._lines())

    def _unless_again(self) -> str | None:
        """The errors of libraries that could not be read; None where all could.

        Raises:
            Retry: there is another attempt for them, or none could be read.
        """
        if not self._failed:
            return None
        names = ", ".join(f"“{failed.line['title']}”" for failed in self._failed)
        error = self._failed[0].error
        message = f"{names} could not be read. {error}"
        if not self._done or self._run.attempt < SYNC.attempts(self._runtime.settings):
            advice = "Look at the server's log; all other libraries are in step, the next sync tries again."
            raise Retry(_said(error.kind, message, advice, retryable=True))
        return message

    def _lines(self) -> list[dict[str, Any]]:
        return [*self._done, *(failed.line for failed in self._failed)]

    def _vanished(self, asking: Asking, section: PlexSection) -> None:
        """A library that is no longer listed: its items are removed once a second full sync confirms it."""
        keys = list(asking.prints(MediaItem.section_key == section.key))
        if not keys or (section.gone_at is not None and not self._run.full):
            return  # it has no items left, or has been reported already
        report = LibraryReport(section.key, section.title, section.type, mode="gone")
        outcome = PassOutcome(report)
        if section.gone_at is not None:
            outcome.missing = asking.denied(keys)
        else:
            report.held_back = len(keys)
            report.note = "Plex does not list this library any more; the next full sync removes its items."
        self._write(asking, outcome, quiet=False)

    def _write(
        self,
        asking: Asking,
        outcome: PassOutcome,
        *,
        quiet: bool,
        members: CollectionListing | None = None,
    ) -> None:
        """Write catalogue, section, report and events of one library in one transaction, fenced by the epoch."""
        report, server_id = outcome.report, self._server_id
        with self._runtime.unit_on(asking.stage.connection) as db:
            _lightly(db)
            changes = library_pass.write(db, asking.stage, server_id, outcome, self._calls.check)
            asking.stage.clear(db)
            still = report.mode == "unchanged" and not any(some.total for some in changes)
            if report.key and report.mode != "gone" and not still:
                libraries.mark_section(db, server_id, report.key, outcome.marks)
            if members is not None:
                collections.replace(db, server_id, report.key, members)
            line = report.shown()
            self._join_moves(db, changes, line)
            sync_changes.record(db, self._run.id, changes)
            sync_changes.publish(db, changes, quiet=quiet)
            if report.held_back:
                admin_notices.held_back(db, self._run, server_id, report)
            done = [*self._done, line]
            lines = [*done, *(failed.line for failed in self._failed)]
            lease.write(db, SYNC, self._run, unless_cancelled=True, sections=lines, counts=_sum(done))
        self._done = done
        if report.created + report.updated > PART:
            asking.stage.survey()
        if report.held_back:
            log.warning("sync.held_back", section=report.title, items=report.held_back)

    def _join_moves(self, db: Session, changes: Sequence[Changes], line: dict[str, Any]) -> None:
        """Report items that this run removed from one library and found in another as moved."""
        back = []
        for some in changes:
            for number, change in enumerate(some.first):
                if change.kind == "removed":
                    self._removed[change.item_id] = line
                elif change.kind == "restored" and change.item_id in self._removed:
                    self._removed.pop(change.item_id)["deleted"] -= 1
                    some.first[number] = replace(change, kind="moved")
                    back.append(change.item_id)
        if back:
            sync_changes.moved(db, self._run.id, back)

    def _tell(self, number: int, of: int, title: str) -> None:
        """Publish the progress of the run."""
        self._run.sections, self._run.counts = self._lines(), self._counts()
        share = round(100 * number / max(1, of), 1)
        self._runtime.publish(sync.event(self._run, "progress", progress=share, section=title))

    def _counts(self) -> dict[str, int]:
        return _sum(self._done)


def _lightly(db: Session) -> None:
    """`synchronous_commit = off`: what a crash of the database loses, marks included, the next sync redoes."""
    db.execute(select(func.set_config("synchronous_commit", "off", True)))


def _sum(reports: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {name: sum(report[name] for report in reports) for name in sync.NO_COUNTS}


def _said(kind: str, message: str, advice: str, *, retryable: bool = False) -> dict[str, Any]:
    return {"kind": kind, "message": message, "advice": advice, "retryable": retryable}
