"""Several processes, on one host or on many, that fill one results folder: how they meet and part."""

import re
from dataclasses import dataclass

import jax

from jaxflow.errors import InputError

HEARTBEAT = 30  # seconds of silence after which a process counts as lost


@dataclass(frozen=True)
class Hosts:
    """This process among those that share a run; alone by default.

    Chunks are independent and written whole, so the processes exchange nothing but signs of life: each computes its
    share of the chunks, and the results folder, on storage that all can write to, shows when all is done.

    Attributes:
        process: number of this process, from 0; process 0 plans the run and makes tables and figures.
        processes: how many there are.
        address: host and port of process 0.
    """

    process: int = 0
    processes: int = 1
    address: str = ""

    def __post_init__(self) -> None:
        """Refuse numbers that do not fit."""
        if not 0 <= self.process < self.processes:
            raise InputError(f"process {self.process} of {self.processes}: processes are numbered from 0")

    def meet(self) -> None:
        """Wait until all processes have come; from then on the loss of any ends the others (``abort``).

        Raises:
            InputError: they did not come, or JAX has already been used in this process.
        """
        if self.processes == 1:
            return
        jax.config.update("jax_enable_preemption_service", False)  # it would keep SIGTERM from ending the process
        try:
            jax.distributed.initialize(
                self.address,
                self.processes,
                self.process,
                cluster_detection_method="deactivate",
                heartbeat_timeout_seconds=HEARTBEAT,
            )
        except RuntimeError as error:
            raise InputError(f"the {self.processes} processes did not meet at {self.address} ({error})") from None

    def part(self) -> None:
        """Leave the others, who leave as well."""
        if self.processes > 1:
            jax.distributed.shutdown()


def parse_hosts(text: str) -> Hosts:
    """``I/P@HOST:PORT``: process I of P, process 0 at HOST.

    Raises:
        InputError: it is not of that form, or I is not below P.
    """
    form = re.fullmatch(r"(\d+)/(\d+)@(.+:\d+)", text)
    if form is None:
        raise InputError(f"hosts are given as I/P@HOST:PORT, such as 0/2@10.0.0.1:4321, not {text}")
    return Hosts(int(form[1]), int(form[2]), form[3])
