"""The house rules that a tool can check: floors, names, tasks."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from engine.job_names import Job
from engine.job_registry import KINDS
from models import Base
from models.job import JobRow

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("api", "cli", "config", "engine", "models", "schedules", "tasks")
PAGES = [
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
]
ROOMS = ("bench", "tests", *PACKAGES)
PATH = re.compile(rf"(?<![\w/.-])(?:{'|'.join(ROOMS)})/[\w./-]*")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
JUNK_DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc"}


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]


def test_floors_hold() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run(
        [tool, "--config", "setup.cfg", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_no_junk_drawers() -> None:
    assert [path for path in modules() if path.stem in JUNK_DRAWERS] == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_room_says_what_it_is_for(path: Path) -> None:
    if "versions" not in path.parts:
        assert path.read_text().startswith('"""'), f"{path.name} has no docstring"


def test_no_two_classes_have_one_name() -> None:
    names = Counter(
        node.name.lstrip("_")
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert {name for name, times in names.items() if times > 1} == set()


def test_every_job_has_exactly_one_task_and_every_task_is_a_job() -> None:
    """In a process of its own, since importing the workers' app reads the environment."""
    code = (
        "from tasks.app import app; app.loader.import_default_modules();"
        "print('\\n'.join(n for n in app.tasks if not n.startswith('celery.')))"
    )
    nowhere = {"DATABASE_URL": "postgresql://localhost/nothing", "REDIS_URL": "redis://localhost/0"}
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env=nowhere
    )
    assert sorted(out.stdout.split()) == sorted(job.value for job in Job)


def test_the_reconciler_knows_every_table_of_jobs() -> None:
    tables = {mapper.class_ for mapper in Base.registry.mappers if issubclass(mapper.class_, JobRow)}
    assert {kind.model for kind in KINDS} == tables, "name the kind in engine/job_registry.py"


def test_every_queue_of_a_job_exists() -> None:
    from config.celery import QUEUES

    assert {job.queue for job in Job} <= set(QUEUES)


def test_only_the_settings_read_the_environment() -> None:
    readers = [
        path.relative_to(ROOT).as_posix()
        for path in modules()
        if any(word in path.read_text() for word in ("os.environ", "getenv", "environb"))
    ]
    # The supervisor hands an environment to its children, and the fork server sets what a line of the Procfile sets;
    # yt-dlp is told of its caches through one.
    assert set(readers) <= {
        "config/settings.py",
        "cli/up.py",
        "cli/supervision/fork_server.py",
        "engine/clients/ytdlp/extract.py",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    """Outside of fenced examples, which may show files that are to be written."""
    named = {found.rstrip(".") for found in PATH.findall(FENCED.sub("", page.read_text()))}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_the_page_on_architecture_names_every_folder() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    folders = {path.parent.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert len(folders) > 50
    missing = [f"{folder}/" for folder in sorted(folders) if f"| `{folder}/` |" not in page]
    assert missing == [], "give each a line in docs/architecture.md"
