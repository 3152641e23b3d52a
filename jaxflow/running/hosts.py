"""Several processes, on one host or on many, that fill one results folder: how they meet and part."""

import errno
import ipaddress
import re
import socket
import time
from dataclasses import dataclass

from jaxflow.errors import InputError, cause, shown
from jaxflow.values import whole

HEARTBEAT = 30  # seconds of silence after which a process counts as lost
MEETING = 120  # seconds that one process waits for another at the beginning
MOST_PROCESSES = 10_000
LOCAL = ("localhost", "127.", "::1")
FORM = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[\w.-]{1,253}):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True)
class Hosts:
    """This process among those that share a run; alone by default.

    Chunks are independent and written whole, so the processes exchange nothing but signs of life: each computes its
    share of the chunks, and the results folder, on storage that all can write to, shows when all is done.

    Attributes:
        process: number of this process, from 0; process 0 plans the run and makes tables and figures.
        processes: how many there are.
        address: host and port of process 0, which listens there and nowhere else.

    Raises:
        InputError: numbers that do not fit, or no HOST:PORT with a port from 1 to 65535.
    """

    process: int = 0
    processes: int = 1
    address: str = ""

    def __post_init__(self) -> None:
        """Plain numbers; refuse what does not fit."""
        object.__setattr__(self, "processes", whole("the number of processes", self.processes, 1, MOST_PROCESSES))
        process = whole("the number of this process", self.process, 0, MOST_PROCESSES)
        if process >= self.processes:
            raise InputError(f"process {process} of {self.processes}: processes are numbered from 0")
        object.__setattr__(self, "process", process)
        if self.processes > 1 or self.address != "":
            _host_and_port(self.address)

    def check(self) -> None:
        """Refuse an address that cannot be right, before anything waits for it.

        Every process looks the host up; process 0 makes sure that it can listen there.

        Raises:
            InputError: no such host, not one of this machine's (process 0), or a port that is taken (process 0).
        """
        if self.processes == 1:
            return
        host, port = _host_and_port(self.address)
        try:
            places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # a label too long for a name is a UnicodeError
            raise InputError(f"no host {host} can be found ({cause(error)})") from None
        if self.process == 0:
            _check_listening([(family, place) for family, _, _, _, place in places], self.address)

    def meet(self) -> None:
        """Wait until all processes have come; if one is lost from then on, JAX aborts the others.

        Raises:
            InputError: they did not come within two minutes, or JAX has already been used in this process.
        """
        if self.processes == 1:
            return
        import jax  # here, so that the command can refuse an address before JAX is loaded

        if self.process > 0:
            _await_process_0(self.address)
        jax.config.update("jax_enable_preemption_service", False)  # it would keep SIGTERM from ending the process
        try:
            jax.distributed.initialize(
                self.address,
                self.processes,
                self.process,
                cluster_detection_method="deactivate",
                initialization_timeout=MEETING,
                heartbeat_timeout_seconds=HEARTBEAT,
                coordinator_bind_address=self.address,  # JAX would listen on all of the machine's addresses
            )
        except RuntimeError as error:
            raise InputError(
                f"the {self.processes} processes did not meet at {self.address} ({cause(error)})"
            ) from None

    def part(self) -> None:
        """Leave the others, who leave as well."""
        if self.processes > 1:
            import jax

            jax.distributed.shutdown()


def parse_hosts(text: str) -> Hosts:
    """``I/P@HOST:PORT``: process I of P, process 0 at HOST.

    Raises:
        InputError: it is not of that form, I is not below P, or the port is none.
    """
    form = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})@(.*)", text)
    if form is None or FORM.fullmatch(form[3]) is None:
        raise InputError(f"hosts are given as I/P@HOST:PORT, such as 0/2@10.0.0.1:4321, not {shown(text)}")
    return Hosts(int(form[1]), int(form[2]), form[3])


def _host_and_port(address: str) -> tuple[str, int]:
    """The two parts of HOST:PORT, an IPv6 address without its brackets."""
    form = FORM.fullmatch(address) if isinstance(address, str) else None
    if form is None:
        raise InputError(f"the address of process 0 is HOST:PORT, such as 10.0.0.1:4321, not {shown(address)}")
    return form["host"].strip("[]"), whole("the port of process 0", int(form["port"]), 1, 65535)


def _check_listening(places: list[tuple[int, tuple]], address: str) -> None:
    """Listen for a moment at every address that the name stands for.

    Raises:
        InputError: this machine has no such address, calls it by itself only, or the port is taken.
    """
    host = _host_and_port(address)[0]
    if not host.startswith(LOCAL) and all(ipaddress.ip_address(place[0]).is_loopback for _, place in places):
        raise InputError(
            f"{host} stands for {places[0][1][0]} here, where only this machine finds it; give its address"
        )
    for family, place in places:
        try:
            with socket.socket(family, socket.SOCK_STREAM) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as JAX's own, after a recent run
                listener.bind(place)
                listener.listen()
        except OSError as error:
            if error.errno == errno.EAFNOSUPPORT:  # a name may stand for an IPv6 address that this machine cannot use
                continue
            raise InputError(
                f"process 0 cannot listen at {address} ({cause(error)});"
                " HOST is an address of its own machine, PORT one that is free"
            ) from None


def _await_process_0(address: str) -> None:
    """Wait until process 0 listens.

    Raises:
        InputError: it does not within two minutes.
    """
    end = time.monotonic() + MEETING
    while True:
        try:
            socket.create_connection(_host_and_port(address), timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                raise InputError(
                    f"process 0 did not answer at {address} within {MEETING} s ({cause(error)}); start it first"
                ) from None
        time.sleep(0.2)
