"""Two hosts share PostgreSQL, Redis and DOWNLOAD_DIR; the cable of one is pulled in the middle of a download."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.video_site import VideoSite
from network_hosts import Network, network
from stack import BIN, Client, Stack, eventually, running
from tcp_services import TcpPostgres, TcpRedis

from models.migrate import upgrade

SIZE = 3_000_000
HOSTS = (1, 2)


class TwoHosts(Stack):
    """This machine has the databases, the web and the housekeeping; each host has a download worker."""

    def __init__(self, net: Network, folder: Path, database_url: str, redis_url: str) -> None:
        super().__init__(folder, database_url, redis_url, DOWNLOAD_ALLOWED_HOSTS=net.address)
        self.net = net

    def start_on(self, host: int) -> None:
        """Start a download worker on a host, with a disk of its own for unfinished files."""
        self.start_worker(f"worker-{host}")

    def start(self, name: str, *command: str, **env: str) -> subprocess.Popen[bytes]:
        host = int(name.partition("worker-")[2] or 0)
        if host == 0:
            return super().start(name, *command, **env)
        inside = self.net.inside(host, str(BIN / command[0]), *command[1:])
        return super().start(name, *inside, **env, WORK_DIR=str(self.work_dir(host)))

    def work_dir(self, host: int) -> Path:
        return self.folder / f"disk-of-{host}"

    def holder(self, download_id: str) -> int:
        """The host that has the download now; 0 while none has."""
        query = "SELECT lease_owner->>'host' FROM downloads WHERE id = %s"
        owner = self.query(query, download_id)[0][0] or ""
        return next((host for host in HOSTS if owner.startswith(f"{self.net.hostname(host)}/")), 0)


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    try:
        with network(len(HOSTS)) as built:
            yield built
    except OSError as error:
        pytest.skip(f"no network namespaces here: {error}")


@pytest.fixture(scope="module")
def site(net: Network) -> Iterator[VideoSite]:
    with VideoSite(net.address) as served:
        yield served


@pytest.fixture(scope="module")
def hosts(net: Network, short_tmp: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoHosts]:
    services = short_tmp / "two-hosts"
    postgres, redis = TcpPostgres(services, net.address), TcpRedis(services, net.address)
    with postgres.running() as database_url, redis.running() as redis_url:
        upgrade(database_url.replace("postgres://", "postgresql+psycopg://"))
        built = TwoHosts(net, tmp_path_factory.mktemp("two-hosts"), database_url, redis_url)
        with running(built):
            built.start_web()
            built.start_beat()
            built.start_maintenance()
            for host in HOSTS:
                built.start_on(host)
            yield built


@pytest.fixture(scope="module")
def client(hosts: TwoHosts) -> Client:
    return hosts.bootstrap()


@pytest.mark.long
def test_the_other_host_finishes_what_a_host_that_was_cut_off_had_begun(
    net: Network, hosts: TwoHosts, client: Client, site: VideoSite
) -> None:
    path = f"/direct/cut.mp4?size={SIZE}&gate=cut&after=1000000&skip=1"
    download_id = client.download(site.url + path, downloadPath="shared")["id"]
    site.gate("cut").wait_held(20)
    eventually(lambda: client.get(download_id)["downloadedBytes"], what="bytes are on the first host's disk")
    lost = hosts.holder(download_id)
    other = 3 - lost

    net.pull_cable(lost)
    # A transaction that the cable was pulled out of holds its row until the server ends it, 60 s at most.
    eventually(lambda: hosts.holder(download_id) == other, 90, what="the other host claims it")
    site.release("cut")
    row = client.wait(download_id, "completed")
    target = hosts.downloads / row["file"]["path"]
    assert target.read_bytes() == site.body(path)
    inode = target.stat().st_ino
    assert list(hosts.work_dir(lost).iterdir()), "the host that was cut off still has its part"

    net.plug_in(lost)
    eventually(lambda: "job.fenced" in hosts.log(f"worker-{lost}"), 60, what="it is told to stop")
    eventually(lambda: not list(hosts.work_dir(lost).iterdir()), what="it has removed its part")
    assert not list(hosts.work_dir(other).iterdir())
    assert [entry.name for entry in target.parent.iterdir()] == [target.name]
    assert (target.stat().st_ino, target.read_bytes()) == (inode, site.body(path))
    assert not list((hosts.downloads / ".medianest").iterdir())
    row = client.get(download_id)
    assert (row["status"], row["attempt"]) == ("completed", 2)

    hosts.kill_group(f"worker-{other}")
    path = f"/direct/again.mp4?size={SIZE}"
    row = client.wait(client.download(site.url + path)["id"], "completed", seconds=60)
    assert (hosts.downloads / row["file"]["path"]).read_bytes() == site.body(path), "it works again"
