"""Runs the battery: `python -m tests.faults [--quick] [--seed N] [--minutes N] [--only NAME,...] [--report FILE]`."""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from tests.faults import asked, cancelling, pieces, scenarios, shares, strangers, surroundings, webhook_storm
from tests.faults.installation import LEASE, RECONCILE, Installation
from tests.faults.ledger import Ledger
from tests.faults.surroundings import Skipped
from tests.stack import ROOT

SCENARIOS: dict[str, scenarios.Scenario] = {
    "storm": scenarios.storm,
    "frozen": scenarios.frozen,
    "thawed": scenarios.thawed,
    "lastbyte": scenarios.last_byte,
    "lethal": scenarios.lethal,
    "pieces": pieces.in_pieces,
    "publishing": scenarios.publishing,
    "cancel": cancelling.cancelled,
    "sigterm": scenarios.sigterm,
    "api": scenarios.api_killed,
    "identical": scenarios.identical,
    "webhooks": webhook_storm.told,
    "requests": asked.fulfilled,
    "republished": shares.republished,
    "slow": shares.slow,
    "greedy": shares.greedy,
    "strangers": strangers.malformed,
    "redis": surroundings.redis_faults,
    "postgres": surroundings.postgres_restarted,
    "workdisk": surroundings.disk_full,
    "filedisk": surroundings.downloads_full,
    "clock": surroundings.beat_clock,
    "onlyclock": surroundings.only_beat_clock,
}


QUICK, FULL = 0.15, 1.0  # of the jobs of each scenario


class OutOfTime(Exception):
    """The whole run took longer than it may."""


def main() -> int:
    """Run the scenarios asked for; 0 where all hold."""
    options = _options()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1_000_000)
    print(f"fault battery, seed {seed} (again with FAULTS_SEED={seed})", flush=True)
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.setitimer(signal.ITIMER_REAL, options.seconds)
    folder = Path(tempfile.mkdtemp(prefix="mn-faults-"))
    folder.chmod(0o755)
    began = time.monotonic()
    installation = Installation(folder, seed, QUICK)
    results: dict[str, dict[str, Any]] = {}
    names = options.only.split(",") if options.only else list(SCENARIOS)
    chosen = random.Random(seed)
    try:
        for done, name in enumerate(names):
            # Every scenario runs; the seed says which in full, as long as the run is not behind its time.
            in_time = time.monotonic() - began <= options.minutes * 60 * done / len(names)
            full = not options.quick and (bool(options.only) or (chosen.random() < 0.5 and in_time))
            installation.scale = FULL if full else QUICK
            results[name] = _run(name, installation)
        results["afterwards"] = _afterwards(installation, results)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        installation.stop()
        if (strays := installation.strays()) and "afterwards" in results:
            results["afterwards"] = {"outcome": "failed", "problems": strays, "seconds": 0.0}
    report = _report(options, seed, results, installation, time.monotonic() - began)
    return _close(report, folder, options.report)


def _options() -> argparse.Namespace:
    env = os.environ.get
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", default=bool(env("FAULTS_QUICK")), help="a seventh of all jobs"
    )
    parser.add_argument("--seed", type=int, default=env("FAULTS_SEED"))
    parser.add_argument(
        "--minutes", type=float, default=env("FAULTS_MINUTES", "12"), help="what a run tries to keep to"
    )
    parser.add_argument(
        "--seconds", type=float, default=env("FAULTS_SECONDS", "3600"), help="bound of the whole run"
    )
    parser.add_argument("--only", default=env("FAULTS_ONLY", ""), help=", ".join(SCENARIOS))
    parser.add_argument("--report", type=Path, default=ROOT / "build" / "faults" / "report.json")
    return parser.parse_args()


def _out_of_time(*_: object) -> None:
    raise OutOfTime


def _run(name: str, installation: Installation) -> dict[str, Any]:
    """One scenario with its ledger; whatever it raises is its failure, not the run's."""
    began = time.monotonic()
    ledger = Ledger(installation, name)
    outcome, trouble = "passed", []
    try:
        installation.make_ready()
        SCENARIOS[name](installation, ledger)
    except Skipped as reason:
        outcome, trouble = "skipped", [str(reason)]
    except OutOfTime:
        outcome, trouble = "failed", ["the run's time is over"]
    except Exception:  # whatever it is, it is told, and the next scenario runs
        outcome, trouble = "failed", traceback.format_exc().splitlines()[-6:]
    installation.ready_servers()
    verdict = ledger.settle().report()
    verdict["problems"] += trouble
    if verdict["problems"] and outcome != "skipped":
        outcome = "failed"
    seconds = round(time.monotonic() - began, 1)
    result = {"outcome": outcome, "seconds": seconds, "scale": installation.scale, **verdict}
    _tell(name, result)
    return result


def _afterwards(installation: Installation, results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """When all is over: the promised times were kept, and nothing is left lying about."""
    began, problems = time.monotonic(), []
    times = installation.measures.report(LEASE, RECONCILE)["times"]
    for name, found in times.items():
        if not found["kept"]:
            problems.append(
                f"{name} took {found['p99']} s (p99 of {found['count']}), {found['promised']} promised"
            )
    while (left := _leftovers(installation)) and time.monotonic() - began < 100:
        time.sleep(1)
    problems += [f"left behind: {path}" for path in left[:10]]
    problems += [f"runs without an owner: {stray}" for stray in installation.strays()]
    result = {"outcome": "failed" if problems else "passed", "problems": problems}
    result["seconds"] = round(time.monotonic() - began, 1)
    _tell("afterwards", result)
    return result


def _leftovers(installation: Installation) -> list[str]:
    folders = (installation.folder / "work", installation.downloads / ".medianest")
    return [str(path) for folder in folders if folder.is_dir() for path in folder.iterdir()]


def _tell(name: str, result: dict[str, Any]) -> None:
    jobs = ""
    if "jobs" in result:
        size = "full" if result["scale"] == FULL else "quick"
        jobs = f"{size:6}{result['jobs']:5} jobs, {result['crashes']} crashes"
    print(f"{result['outcome']:8}{name:12}{result['seconds']:7.1f} s {jobs}", flush=True)
    for problem in result["problems"][:20]:
        print(f"        {problem}", flush=True)


def _report(
    options: argparse.Namespace,
    seed: int,
    results: dict[str, dict[str, Any]],
    installation: Installation,
    seconds: float,
) -> dict[str, Any]:
    sums = (
        "jobs",
        "completed",
        "cancelled",
        "failed",
        "crashes",
        "lost",
        "doubled",
        "stuck",
        "different",
        "partial",
    )
    return {
        "seed": seed,
        "quick": options.quick,
        "seconds": round(seconds, 1),
        "leaseSeconds": LEASE,
        "reconcileSeconds": RECONCILE,
        "totals": {name: sum(result.get(name, 0) for result in results.values()) for name in sums},
        **installation.measures.report(LEASE, RECONCILE),
        "scenarios": results,
    }


def _close(report: dict[str, Any], folder: Path, path: Path) -> int:
    """Write the report, keep the logs of a failed run beside it, and say the closing line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    outcomes = [result["outcome"] for result in report["scenarios"].values()]
    failed = outcomes.count("failed")
    logs = path.parent / "logs"
    shutil.rmtree(logs, ignore_errors=True)
    if failed:
        logs.mkdir()
        for log in folder.glob("*/*.log"):
            shutil.copy(log, logs)
        print(f"logs: {logs}")
    shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({key: report[key] for key in ("totals", "faults", "restarts", "times")}, indent=1))
    print(f"report: {path}")
    told = [f"{outcomes.count(word)} {word}" for word in ("failed", "passed", "skipped") if word in outcomes]
    print(f"{', '.join(told)} in {report['seconds']:.0f}s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
