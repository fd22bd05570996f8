"""Whether all download workers see this machine's DOWNLOAD_DIR: a file is laid there, and they are asked."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

from cli.doctor.finding import Finding, fail, ok
from cli.doctor.services import Services
from config.celery import make_celery
from engine.job_names import Job
from engine.storage.shared_folder import probe_path

SECONDS = 4.0  # for all answers together


def shared_folder(services: Services) -> Iterator[Finding]:
    """Ask each download worker whether it sees what we have just laid into DOWNLOAD_DIR."""
    subject, settings = "shared folder", services.settings
    if services.workers is None or not services.redis_answers:
        yield fail(
            subject, "not known: workers are asked by way of Redis", "bring database and Redis back first"
        )
        return
    asked = [name for name, queues in services.workers.items() if Job.DOWNLOAD.queue in queues]
    if not asked:
        yield fail(subject, "not known: no download worker runs", "start one")
        return
    token = secrets.token_hex(16)
    probe = probe_path(settings, token)
    try:
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        replies = make_celery(settings).control.broadcast(
            "sees", {"token": token}, destination=asked, reply=True, timeout=SECONDS, limit=len(asked)
        )
    except OSError as error:
        advice = f"let this user write to {probe.parent}, or run this as the one that runs MediaNest"
        yield fail(subject, f"{probe.parent} can't be written to: {error.strerror}", advice)
        return
    finally:
        probe.unlink(missing_ok=True)
    answers: dict[str, Any] = {name: answer for reply in replies or [] for name, answer in reply.items()}
    for name in asked:
        yield _judge(subject, name, answers.get(name), str(settings.download_dir))


def _judge(subject: str, name: str, answer: Any, folder: str) -> Finding:
    if not isinstance(answer, dict) or "sees" not in answer:
        return fail(subject, f"{name} does not answer", "look at its log; start it again")
    if answer["sees"] is None:
        return fail(
            subject, f"{name}: its {answer['folder']} hangs", "look at the network file system of its host"
        )
    if not answer["sees"]:
        text = f"{name} does not see in its {answer['folder']} what lies in {folder}"
        return fail(subject, text, "mount the same folder on every host, and set DOWNLOAD_DIR to it")
    return ok(subject, f"{name} sees the same DOWNLOAD_DIR")
