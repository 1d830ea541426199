"""The private servers: started by the program, adopted, started again after kill -9, stopped whole."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from command.services import PrivateServers, ensure_services, ensure_vhost, locate_services, stop_services
from command.services.account import server_account
from command.services.errors import ServiceMissing
from command.services.postgres import Postgres, find_postgres
from command.services.rabbitmq import answers_amqp, request_management


@pytest.fixture(scope="module")
def data_dir(server_dir: Callable[[str], Path]) -> Iterator[Path]:
    path = server_dir("own")
    yield path
    stop_services(path)


def servers_of(data_dir: Path) -> tuple[psutil.Process, psutil.Process]:
    servers = PrivateServers.of(data_dir, database_url=None, amqp_url=None)
    assert servers.postgres is not None
    assert servers.rabbitmq is not None
    postgres, rabbitmq = servers.postgres.process(), servers.rabbitmq.process()
    assert postgres is not None
    assert rabbitmq is not None
    return postgres, rabbitmq


def test_they_start_twice_as_one_and_never_as_root(data_dir: Path) -> None:
    # given a first start
    first = ensure_services(data_dir, database_url=None, amqp_url=None)
    before = servers_of(data_dir)
    # when started again
    second = ensure_services(data_dir, database_url=None, amqp_url=None)
    # then nothing new runs, both answer, and neither is root
    assert first == second
    assert servers_of(data_dir) == before
    for process in before:
        assert process.uids().real != 0
    with psycopg.connect(first.database_url) as connection:
        assert connection.execute("SELECT postgis_lib_version()").fetchone()
    ensure_vhost(first, "live")
    assert first.management_url is not None
    assert "live" in [each["name"] for each in request_management(first.management_url, "GET", "/api/vhosts")]


def test_folders_are_closed_and_nothing_listens_outside_loopback(data_dir: Path) -> None:
    ensure_services(data_dir, database_url=None, amqp_url=None)
    for name in ("pg", "mq"):
        assert stat.S_IMODE((data_dir / name).stat().st_mode) == 0o700
    for server in servers_of(data_dir):
        for each in (server, *server.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):  # PostgreSQL's workers come and go
                for connection in each.net_connections(kind="inet"):
                    if connection.status == psutil.CONN_LISTEN:
                        assert connection.laddr.ip in ("127.0.0.1", "::1")


def test_peer_authentication_refuses_another_account(data_dir: Path) -> None:
    endpoints = ensure_services(data_dir, database_url=None, amqp_url=None)
    with pytest.raises(psycopg.OperationalError, match=r"does not exist|[Pp]eer authentication failed"):
        psycopg.connect(endpoints.database_url, user="somebody").close()


def test_after_kill_9_they_start_again_with_what_was_committed(data_dir: Path, eventually: Callable[..., None]) -> None:
    # given a committed row and a vhost
    endpoints = ensure_services(data_dir, database_url=None, amqp_url=None)
    ensure_vhost(endpoints, "kept")
    with psycopg.connect(endpoints.database_url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
        connection.execute("INSERT INTO kept VALUES (1)")
    # when both are killed
    killed = servers_of(data_dir)
    for process in killed:
        process.kill()
    servers = PrivateServers.of(data_dir, database_url=None, amqp_url=None)
    eventually(lambda: sorted(servers.down()) == ["postgresql", "rabbitmq"])
    # then a start brings them back whole
    again = ensure_services(data_dir, database_url=None, amqp_url=None)
    assert set(servers_of(data_dir)).isdisjoint(killed)
    with psycopg.connect(again.database_url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1,)
    assert again.management_url is not None
    assert "kept" in [each["name"] for each in request_management(again.management_url, "GET", "/api/vhosts")]


def test_a_stop_leaves_no_process_behind_not_even_epmd(data_dir: Path) -> None:
    ensure_services(data_dir, database_url=None, amqp_url=None)
    stop_services(data_dir)
    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline", "status"])
        if str(data_dir) in " ".join(process.info["cmdline"] or []) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]
    assert left == []
    located = locate_services(data_dir, database_url=None, amqp_url=None)
    assert not answers_amqp("127.0.0.1", int(located.amqp_url.rsplit(":", 1)[1]))


def test_a_path_too_long_for_a_socket_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ServiceMissing, match="shorter MIZUGIWA_DATA_DIR"):
        Postgres(tmp_path / ("x" * 120), server_account())


def test_a_missing_server_is_told_with_the_install_line(tmp_path: Path) -> None:
    with pytest.raises(ServiceMissing, match="apt-get install"):
        find_postgres(roots=(tmp_path,))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another account")
def test_a_folder_that_the_account_cannot_reach_is_told(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ServiceMissing, match="choose another place with MIZUGIWA_DATA_DIR"):
        PrivateServers.of(closed / "data", database_url=None, amqp_url=None)
