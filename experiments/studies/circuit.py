"""A proof on a known circuit: flows in networks that decide by motion or by colour, and what lesions say of them.

    python experiments/studies/circuit.py [--quick] [--docs docs]

Trains 50 recurrent networks (``circuit_network.py``), records them as ``[trial, time, unit]``, and measures the flows
of motion, colour and choice with jaxflow. Units are chosen by their flows in one half of the trials and lesioned in
the other. The same is done with Poisson spikes instead of rates, and with half of the units unobserved. Writes
``circuit_*.csv``, the figures and the tables of ``circuit.md`` below ``--docs``, in five and a half minutes of a core.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from rich.progress import Progress, TimeElapsedColumn

import jaxflow as jf

sys.path.append(str(Path(__file__).parents[1]))
import circuit_network as circuit
from circuit_network import Activity, Lesion, Trials
from circuit_numbers import CHOSEN_BY, CONTEXTS, STAGES
from circuit_page import write_page

MESSAGES = ("motion", "colour", "choice")
MOST_LESIONED = 2  # units at a time, and no more than half of those that are recorded
RECORDINGS = {  # spikes instead of rates, half of the units unobserved
    "rates": (False, False),
    "spikes": (True, False),
    "half the rates": (False, True),
    "half the spikes": (True, True),
}


class Study(NamedTuple):
    """Trained networks with the trials that they went through.

    Attributes:
        params: of all networks.
        keys: of every network's noise.
        trials: ``[network, trial]``, other ones for every network, so that what chance correlates in one network's
            trials it does not correlate in the others'.
        activity: means of bins, rates ``[network, bin, trial, unit]`` and output ``[network, bin, trial]``.
        choice: ``[network, trial]``.
    """

    params: Any
    keys: Any
    trials: Trials
    activity: Activity
    choice: np.ndarray

    def message(self, name: str, network: int) -> np.ndarray:
        """One value for every trial: motion, colour, the network's choice, or what the context does not ask for."""
        if name == "irrelevant":
            return np.where(self.context == 0, self.trials.colour[network], self.trials.motion[network])
        return self.choice[network] if name == "choice" else getattr(self.trials, name)[network]

    @property
    def context(self) -> np.ndarray:
        """Context of every trial, which is the same in all networks."""
        return self.trials.context[0]

    @property
    def chosen_on(self) -> np.ndarray:
        """The half of the trials that units are chosen on: the first, in which either context is as frequent."""
        return np.arange(len(self.context)) < len(self.context) // 2


class Recording(NamedTuple):
    """What is recorded of all networks.

    Attributes:
        activity: ``[network, bin, trial, unit]``, the output last. A unit that is not seen is a column of zeros, which
            adds nothing to any subset.
        seen: ``[network, unit]``.
    """

    activity: np.ndarray
    seen: np.ndarray


def trained(networks: int, steps: int, count: int) -> Study:
    """Train, and run every network through so many trials."""
    keys, of_trials = (
        jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))(jnp.arange(networks)) for seed in range(2)
    )
    params = jf.map_networks(partial(circuit.train, steps=steps), keys)
    trials = jax.vmap(partial(circuit.recorded_trials, count=count))(of_trials)

    def recorded(params: Any, key: jax.Array, trials: Trials) -> tuple[Activity, jax.Array]:
        activity = circuit.simulate(params, key, trials)
        return circuit.binned(activity), activity.choice

    activity, choice = jf.map_networks(recorded, params, keys, trials)
    trials, activity = Trials(*map(np.asarray, trials)), Activity(*map(np.asarray, activity))
    return Study(params, keys, trials, activity, np.asarray(choice))


def recorded(study: Study, spiking: bool, half: bool) -> Recording:
    """Rates or spikes of all units, or of a random half of every area; the output is always seen."""
    rates, output = study.activity
    if spiking:
        rates = np.asarray(jax.vmap(circuit.spikes)(study.keys, jnp.asarray(rates)))
    seen, rng = np.ones((len(rates), circuit.UNITS + 1), bool), np.random.default_rng(0)
    for own, area in ((own, area) for own in seen for area in range(3)):
        units = np.flatnonzero(area == circuit.AREA)
        own[rng.permutation(units)[: len(units) // 2 * half]] = False
    activity = np.concatenate([rates, output[..., None]], axis=-1)
    return Recording(activity * seen[:, None, None], seen)


def flows_in_network(study: Study, recording: Recording, network: int, permutations: int) -> Iterator[pd.DataFrame]:
    """Flows of a network's units in every bin, given the context and within either, with p-values and honest flows."""
    context, key = study.context, jax.random.key(network)
    for (stage, units), message in ((stage, message) for stage in STAGES.items() for message in MESSAGES):
        about, layers = study.message(message, network), recording.activity[network][..., units]
        for which in ("given", *CONTEXTS):
            rows = np.full(len(context), True) if which == "given" else context == CONTEXTS.index(which)
            given = context if which == "given" else None
            found = jf.significance(key, about[rows], layers[:, rows], given=given, permutations=permutations)
            bins, places = np.indices(found.flow.shape)
            columns = {"bin": bins, "unit": units[places], "flow": found.flow, "p_max": found.p_max}
            if given is None:
                columns["honest"] = jf.honest_flows(key, about[rows], layers[:, rows]).flow
            table = pd.DataFrame({column: np.ravel(values) for column, values in columns.items()})
            table = table[recording.seen[network][table["unit"]]]
            yield table.assign(network=network, stage=stage, message=message, context=which)


def unit_table(study: Study, recording: Recording, network: int, permutations: int) -> Iterator[pd.DataFrame]:
    """What units are chosen by, and what that is compared with, from one half of the trials, given the context.

    Flows and spreads (standard deviations over trials) are averaged over bins. A unit is without flow if it is
    significant in no bin. The weight is the sum of the absolute weights out of a unit.
    """
    rows, key = study.chosen_on, jax.random.key(network)
    weights = np.abs(np.asarray(study.params["recurrent"][network]) * circuit.CONNECTED).sum(axis=1)
    weights[STAGES["integrating"]] += np.abs(np.asarray(study.params["output"][network]))
    for stage in ("streams", "integrating"):
        units = STAGES[stage]
        layers = recording.activity[network][:, rows][..., units]
        columns = {"unit": units, "weight": weights[units], "spread": layers.std(axis=1).mean(axis=0)}
        for message in CHOSEN_BY:
            about, given = study.message(message, network)[rows], study.context[rows]
            found = jf.significance(key, about, layers, given=given, permutations=permutations)
            columns |= {"flow": found.flow.mean(axis=0), "without": (found.p_max >= 0.05).all(axis=0)}
            table = pd.DataFrame(columns)[recording.seen[network][units]]
            yield table.assign(network=network, stage=stage, message=message)


def lesions_of(chosen: pd.DataFrame) -> pd.DataFrame:
    """The units of every lesion: a network's recorded units of the largest and the smallest flows, and each by itself.

    Where a network has units without flow, these (``without``), and as many with the largest flows (``as many``).
    """
    rows, names = [], ["recording", "stage", "message", "network"]
    for where, own in chosen.groupby(names, sort=False):
        ordered = own.sort_values("flow")
        units, half = ordered["unit"].tolist(), len(ordered) // 2
        count, silent = min(MOST_LESIONED, half), ordered.loc[ordered["without"], "unit"].tolist()[:half]
        rows += [(*where, "smallest", units[:count]), (*where, "largest", units[-count:])]
        rows += [(*where, "without", silent), (*where, "as many", units[len(units) - len(silent) :])]
    table = pd.DataFrame(rows, columns=[*names, "which", "units"])
    whole = [("–", "none", "none", network, "none", []) for network in table["network"].unique()]
    alone = [("–", "one", "one", row[3], unit, [unit]) for row in whole for unit in range(circuit.UNITS)]
    every = pd.concat([pd.DataFrame(whole + alone, columns=table.columns), table], ignore_index=True)
    return pd.concat([every.assign(kind=kind) for kind in ("mean", "silent")], ignore_index=True)


def after_lesions(study: Study, lesions: pd.DataFrame) -> pd.DataFrame:
    """Accuracy and the share of choices that stay as they were, in the other trials and by context, in per cent.

    A unit of a ``silent`` lesion is held at 0, of a ``mean`` one at its mean over trials of each step, which takes what
    it tells and leaves what it adds.
    """
    chosen_on, context = jnp.asarray(study.chosen_on), jnp.asarray(study.context)
    judged = [~chosen_on & (context == number) for number in range(2)]

    def of_network(params: Any, key: jax.Array, trials: Trials, lesions: tuple[jax.Array, jax.Array]) -> jax.Array:
        intact = circuit.simulate(params, key, trials)
        means = jnp.mean(intact.rates, axis=1, where=chosen_on[:, None])

        def of_lesion(lesion: tuple[jax.Array, jax.Array]) -> jax.Array:
            units, silent = lesion
            choice = circuit.simulate(params, key, trials, Lesion(units, means * ~silent)).choice
            same = jnp.stack([choice == trials.correct, choice == intact.choice])
            return jnp.stack([jnp.mean(same, axis=-1, where=rows[None]) for rows in judged])

        return jax.lax.map(of_lesion, lesions)

    lesions = lesions.sort_values("network", kind="stable", ignore_index=True)
    count = len(study.choice)
    units = np.stack([np.isin(np.arange(circuit.UNITS), own) for own in lesions["units"]]).reshape(
        count, -1, circuit.UNITS
    )
    silent = (lesions["kind"] == "silent").to_numpy().reshape(count, -1)
    pairs = (jnp.asarray(units), jnp.asarray(silent))
    left = jf.map_networks(of_network, study.params, study.keys, study.trials, pairs)
    left = 100 * np.asarray(left).reshape(-1, 2, 2)
    tables = [
        lesions.assign(context=CONTEXTS[place], accuracy=left[:, place, 0], same=left[:, place, 1])
        for place in range(2)
    ]
    table = pd.concat(tables, ignore_index=True)
    return table[(table["stage"] == "none") | (table["units"].str.len() > 0)].drop(columns="units")


def sent_on(study: Study, flows: pd.DataFrame) -> pd.DataFrame:
    """Edge flows |w|·F in the last bin, summed over the edges from one stage to the next, by network and context."""
    last = flows[(flows["bin"] == flows["bin"].max()) & (flows["recording"] == "rates")].sort_values("unit")
    recurrent = np.asarray(study.params["recurrent"])
    weights = {
        "streams": recurrent[:, STAGES["streams"]][..., STAGES["integrating"]],
        "integrating": np.asarray(study.params["output"])[..., None],
    }
    rows = []
    for (network, stage, message, context), own in last.groupby(["network", "stage", "message", "context"]):
        if stage in weights:
            edges = jf.edge_flows(own["flow"].to_numpy(np.float32), weights[str(stage)][network])
            rows.append((network, stage, message, context, float(jnp.sum(edges))))
    return pd.DataFrame(rows, columns=["network", "stage", "message", "context", "sent"])


def measured(study: Study, permutations: int) -> dict[str, pd.DataFrame]:
    """All tables, a row for every network and more."""
    flows, chosen, networks = [], [], len(study.choice)
    with Progress(*Progress.get_default_columns(), TimeElapsedColumn()) as progress:
        task = progress.add_task("flows", total=len(RECORDINGS) * networks)
        for name, kind in RECORDINGS.items():
            recording = recorded(study, *kind)
            for network in range(networks):
                flows += [
                    own.assign(recording=name) for own in flows_in_network(study, recording, network, permutations)
                ]
                chosen += [own.assign(recording=name) for own in unit_table(study, recording, network, permutations)]
                progress.advance(task)
    every, by_flow = pd.concat(flows, ignore_index=True), pd.concat(chosen, ignore_index=True)
    lesions = after_lesions(study, lesions_of(by_flow))
    return {"flows": every, "chosen": by_flow, "lesions": lesions, "sent": sent_on(study, every)}


def main() -> None:
    """Train, measure, write tables, figures and the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=50)
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--quick", action="store_true", help="three networks, hardly trained, to see that it runs")
    options = parser.parse_args()
    if options.quick:  # nearly all of its time is compilation; XLA reads this when it is first used
        os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
    networks, steps, trials, permutations = (3, 100, 432, 19) if options.quick else (options.networks, 1000, 2016, 199)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if options.quick else "default", jf.ThinCellsWarning)
        print(f"training {networks} networks", file=sys.stderr)
        tables = measured(trained(networks, steps, trials), permutations)
    write_page(tables, MOST_LESIONED, options.docs)


if __name__ == "__main__":
    main()
