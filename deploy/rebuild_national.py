"""Rebuilding the national view from the streams while it serves: `python -m deploy.rebuild_national`.

The running service fills a new generation beside the old one. Once both stand at the same message they are
compared, table by table; if they say the same to the last digit, the new one serves from then on. If they
differ, nothing is switched, unless `--accept-differences` says that they should: after a key was revoked,
for example, what it had signed is left out.
"""

import argparse
import asyncio
import sys
import time

from deploy.hosting import opened
from deploy.reached import reached
from libs.messaging.backoff import pause
from libs.settings import BadSettings
from libs.web.app import Service
from services.national import generations
from services.national.generations import NotCaughtUp, Outcome, RebuildRuns

_LOOK_SECONDS = 0.5
_SAY_SECONDS = 5.0
_UNATTENDED_SECONDS = 30.0


def main() -> int:
    """The exit code: 0 the new generation serves, 1 it differs or one is at work, 2 nothing is there."""
    parser = argparse.ArgumentParser(prog="python -m deploy.rebuild_national")
    parser.add_argument(
        "--accept-differences", action="store_true", help="let the new generation serve whatever it says"
    )
    accept: bool = parser.parse_args().accept_differences
    try:
        return asyncio.run(_run(accept))
    except BadSettings as error:
        print(error, file=sys.stderr)
    except OSError:
        print("La base de données ne répond pas. Démarrez l’instance, puis recommencez.", file=sys.stderr)
    return 2


async def _run(accept: bool) -> int:
    settings, server = reached()
    async with opened("national", settings, server) as service:
        try:
            async with generations.rebuilding(service.database) as number:
                started = time.monotonic()
                outcome = await _switched(service, number, accept)
                _say(outcome, number, time.monotonic() - started)
        except RebuildRuns:
            print("Une reconstruction est déjà en cours.", file=sys.stderr)
            return 1
        return 0 if outcome.switched else 1


async def _switched(service: Service, number: int, accept: bool) -> Outcome:
    """Wait for the new generation; whoever interrupts this lets go of it."""
    never = asyncio.Event()
    started = time.monotonic()
    said, warned = 0.0, False
    print(f"La génération {number} se remplit à partir des flux. Ctrl+C y renonce.")
    while True:
        left = await generations.lag(service.bus, number)
        if left == 0:
            try:
                return await generations.try_switch(service.database, service.bus, number, accept=accept)
            except NotCaughtUp:
                pass
        elif time.monotonic() - said > _SAY_SECONDS:
            said = time.monotonic()
            print(f"  encore {left} messages", flush=True)
        if not warned and time.monotonic() - started > _UNATTENDED_SECONDS:
            warned = not await generations.attended(service.database, number)
            if warned:
                print("Personne ne remplit cette génération : le service national tourne-t-il?", flush=True)
        await pause(never, _LOOK_SECONDS)


def _say(outcome: Outcome, number: int, seconds: float) -> None:
    for table in outcome.tables:
        mark = "=" if table.equal else "≠"
        print(f"  {table.table:<14}{table.old.rows:>10} {mark} {table.new.rows:<10}{table.new.sha256[:16]}")
        if not table.equal:
            print(f"    {table.old.sha256[:16]} avant; instances : {', '.join(table.instances)}")
    if outcome.switched:
        print(f"La génération {number} sert depuis maintenant ({seconds:.1f} s).")
    else:
        print(
            "Les deux générations diffèrent : l’ancienne continue de servir. "
            "Avec --accept-differences, la nouvelle la remplace.",
            file=sys.stderr,
        )


if __name__ == "__main__":
    sys.exit(main())
