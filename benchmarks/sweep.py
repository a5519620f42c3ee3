"""The paper's sweep and one of ten seeds, beside plain Lightning: speeds and arithmetic."""

from __future__ import annotations

import argparse
import sys
from statistics import median

import images
import jobs
from program import PAPER_FACES
from tables import environment, markdown_table

EPOCHS = 6
CONDITIONS = len(jobs.CONDITIONS)
TRAIN, VALIDATE = 0.7, 0.3  # shares of the faces

_EXPLANATION = """\
Plain Lightning passes every face through the network in every epoch: {conditions} conditions x
{epochs} epochs x {faces:,} faces, at {plain:.1f} a second. fer-lit passes what a sweep newly needs:
of the random splits of s seeds, 1 - 0.3^s of all faces train in some, 1 - 0.7^s validate in some;
so with v views {conditions} x {faces:,} x (v (1 - 0.3^s) + 1 - 0.7^s) at {own:.1f} a second,
everything included, {compilation:.0f} s once to compile, and {job:.1f} s a job, measured with
stored features of {job_faces:,} faces."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this sub-command."""
    images.add_material_arguments(parser)
    parser.add_argument("--job-faces", type=int, default=PAPER_FACES, help="of the measured jobs")
    parser.set_defaults(only=["lightning", "fer-lit"], rounds=3)


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print the table with its arithmetic."""
    results = {result.contender.id: result for result in images.measure(arguments).results}
    plain, own = (median(results[name].speeds) for name in ("lightning", "fer-lit"))
    compilation = results["fer-lit"].compilation
    job = median(jobs.measure(arguments.job_faces, seeds=1, epochs=EPOCHS).seconds)
    rows = []
    for seeds in (1, 10):
        passes = seeds * CONDITIONS * EPOCHS * PAPER_FACES
        for views in (2, EPOCHS):
            computed = CONDITIONS * PAPER_FACES * _share(seeds, views)
            seconds = computed / own + compilation + seeds * CONDITIONS * job
            rows.append(
                {
                    "seeds": str(seeds),
                    "views": str(views),
                    "plain Lightning, s": f"{passes / plain:,.0f}",
                    "fer-lit, s": f"{seconds:,.0f}",
                    "fer-lit is faster by": f"{passes / plain / seconds:.1f}",
                }
            )
    explanation = _EXPLANATION.format(
        conditions=CONDITIONS,
        epochs=EPOCHS,
        faces=PAPER_FACES,
        job_faces=arguments.job_faces,
        plain=plain,
        own=own,
        compilation=compilation,
        job=job,
    )
    sys.stdout.write(f"{markdown_table(rows)}\n\n{explanation}\n{environment()}\n")


def _share(seeds: int, views: int) -> float:
    """Views computed by all seeds of a condition, for each face."""
    return views * (1 - VALIDATE**seeds) + 1 - TRAIN**seeds
