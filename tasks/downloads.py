"""Tasks around downloads: fetching, looking, removing files."""

from __future__ import annotations

from engine.downloads import removal_work
from engine.downloads import work as download_work
from engine.downloads.previews import work as preview_work
from engine.job_names import Job
from tasks.app import app
from tasks.work import work_off


@app.task(name=Job.DOWNLOAD.value)
def download() -> None:
    """Run the next download."""
    work_off(download_work.DOWNLOAD, download_work.work)


@app.task(name=Job.PREVIEW.value)
def preview() -> None:
    """Run the next preview."""
    work_off(preview_work.PREVIEW, preview_work.work)


@app.task(name=Job.REMOVE_FILE.value)
def remove_file() -> None:
    """Remove the next file."""
    work_off(removal_work.FILE_REMOVAL, removal_work.work)
