"""`python -m bench fairness`: who gets a seat under each policy, in a table; no server is needed."""

import argparse
from collections.abc import Sequence
from dataclasses import fields

from bench.fairness.assumptions import Assumptions
from bench.fairness.tables import tables

SESSIONS, SEED = 1_000, 1


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench fairness", description="Who gets a seat under each policy."
    )
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="that are simulated (%(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="another crowd (%(default)s)")
    for one in fields(Assumptions):
        parser.add_argument(
            f"--{one.name.replace('_', '-')}",
            type=int if one.type is int else float,
            default=one.default,
            help=f"{one.metadata['about']} (%(default)s)",
        )
    given = vars(parser.parse_args(arguments))
    sessions, seed = given.pop("sessions"), given.pop("seed")
    if sessions < 1:
        parser.error("at least one session is needed")
    try:
        assumed = Assumptions(**given)
    except ValueError as error:
        parser.error(str(error))
    print(tables(sessions, seed, assumed), end="")
    return 0
