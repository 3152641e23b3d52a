"""How to cite what a page shows: the method's paper, and the software that computed it, as CITATION.cff has them."""

from jaxflow import __version__

PAPER = """P. Venkatesh, S. Dutta, N. Mehta and P. Grover:
Can Information Flows Suggest Targets for Interventions in Neural Circuits?
Advances in Neural Information Processing Systems 34 (NeurIPS 2021), arXiv:2111.05299."""

PAPER_ENTRY = """@inproceedings{venkatesh2021can,
  title     = {Can Information Flows Suggest Targets for Interventions in Neural Circuits?},
  author    = {Venkatesh, Praveen and Dutta, Sanghamitra and Mehta, Neil and Grover, Pulkit},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {34},
  year      = {2021}
}"""

TITLE = "jaxflow: information flows in trained networks, and interventions on them"
AUTHORS = "The jaxflow developers"
RELEASED = "2026-11-30"  # the day of the newest release, as CITATION.cff and CHANGELOG.md have it


def citation(version: str) -> str:
    """The paper whose method was used, and the software with the version that computed the results.

    Args:
        version: of jaxflow that filled the folder; this one's where the folder does not say.
    """
    version = version or __version__
    year = f" ({RELEASED[:4]})" if version == __version__ else ""  # of other versions the day is not known here
    entry = {"title": f"{{jaxflow}}{TITLE.removeprefix('jaxflow')}", "author": f"{{{AUTHORS}}}", "version": version}
    entry |= {"year": RELEASED[:4]} if year else {}
    lines = ",\n".join(f"  {name:<9} = {{{value}}}" for name, value in entry.items())
    software = f"@software{{jaxflow,\n{lines}\n}}"
    return f"""The method:
{PAPER}

The software, by other authors:
{AUTHORS}{year}: {TITLE}, version {version}.

{PAPER_ENTRY}

{software}
"""
