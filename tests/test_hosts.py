"""Where processes meet: addresses that cannot be right are refused before anything waits."""

import socket
import subprocess
import sys
import time

import pytest

from jaxflow import InputError
from jaxflow.running import hosts
from jaxflow.running.hosts import Hosts, parse_hosts


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.parametrize("host", ["no-such-host.invalid", "256.1.1.1", "a" * 64 + ".com"])
@pytest.mark.parametrize("process", [0, 1])
def test_a_host_that_is_none_is_refused_at_once(host, process, port):
    with pytest.raises(InputError, match=r"no host .* can be found"):
        Hosts(process, 2, f"{host}:{port}").check()


def test_process_0_listens_on_its_own_machine_only(port):
    """192.0.2.1 is nobody's (RFC 5737); the other processes may be elsewhere."""
    with pytest.raises(InputError, match=r"process 0 cannot listen at 192\.0\.2\.1:.*HOST is an address of its own"):
        Hosts(0, 2, f"192.0.2.1:{port}").check()
    Hosts(1, 2, f"192.0.2.1:{port}").check()


def test_a_taken_port_is_refused(port):
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(InputError, match=r"cannot listen at 127\.0\.0\.1:.*(in use).*PORT one that is free"):
            Hosts(0, 2, f"127.0.0.1:{port}").check()
    Hosts(0, 2, f"127.0.0.1:{port}").check()


def test_a_name_that_only_this_machine_understands_is_refused(monkeypatch, port):
    """As Debian's 127.0.1.1 for the machine's own name: process 0 would listen where nobody else comes by."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.1.1", port))]
    monkeypatch.setattr(hosts.socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(InputError, match=r"node7 stands for 127\.0\.1\.1 here, .* give its address"):
        Hosts(0, 2, f"node7:{port}").check()
    Hosts(0, 2, f"localhost:{port}").check()


def test_process_0_that_does_not_come_is_waited_for_no_longer_than_is_said(monkeypatch, port):
    monkeypatch.setattr(hosts, "MEETING", 0.5)
    with pytest.raises(InputError, match=rf"process 0 did not answer at 127\.0\.0\.1:{port} within 0\.5 s"):
        Hosts(1, 2, f"127.0.0.1:{port}").meet()


def test_alone_nothing_is_looked_up(monkeypatch):
    monkeypatch.setattr(hosts.socket, "getaddrinfo", lambda *_, **__: pytest.fail("looked up"))
    for alone in (Hosts(), parse_hosts("0/1@nowhere:1")):
        alone.check()
        alone.meet()
        alone.part()


def test_process_0_listens_at_its_address_and_nowhere_else(port):
    """JAX alone would listen on all of the machine's addresses, 127.0.0.2 among them."""
    code = f"import sys\nfrom jaxflow.running.hosts import Hosts\nHosts(int(sys.argv[1]), 2, '127.0.0.1:{port}').meet()"
    first = subprocess.Popen([sys.executable, "-c", code, "0"], stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + 100
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert first.poll() is None, first.stderr.read()
            time.sleep(0.1)
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.2", port)) != 0
    finally:
        first.kill()
        first.communicate()
