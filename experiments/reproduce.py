"""Everything of the paper: runs, tables, figures, and a page of verdicts; the same as ``jaxflow reproduce``.

    python experiments/reproduce.py [--quick] [--only fig3 …] [--seeds 100] [--data-dir DIR]

Finished runs are not computed again; an interrupted one goes on. See ``--help``.
"""

import sys

from jaxflow.cli import main

if __name__ == "__main__":
    sys.exit(main(["reproduce", *sys.argv[1:]]))
