"""``vcheck fuzz``: the readings of a description held against each other in many states."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from checker.check import no_such
from checker.comparisons import ASIDE, COMPARISONS
from checker.exitcodes import FINDINGS, INCONCLUSIVE, PROVED, USAGE
from checker.files import write
from checker.fuzz import Campaign, Plan, Tally
from checker.progress import progress
from isa_specs.keeping import default_directory
from isa_specs.load import load
from machine.errors import MachineError
from machine.jitted import NotGenerated, enabled

MAX_STATES = 1 << 40
MAX_SHOWN = 20  # disagreements

EPILOG = """States are biased to edges: modes, limits, ends of pages, alignment, wrap. The same seed gives the same states. What is done is
kept in the cache folder: an interrupted campaign goes on where it was, a larger one where a smaller one ended.

exit codes: 0 all readings agree   1 a disagreement   2 usage or description   3 not all was compared   130 interrupted

examples:
  vcheck fuzz s370 --states 1000
  vcheck fuzz x86 POPF --states 100000 --seed 7
  vcheck fuzz x86_vtx --states 0 --solver 0 --monitor vmx
"""


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    about = argparse.ArgumentParser(prog="vcheck fuzz", allow_abbrev=False, epilog=EPILOG,
                                    formatter_class=argparse.RawDescriptionHelpFormatter,
                                    description="Hold the readings of a description against each other in many states.")
    about.add_argument("spec", metavar="SPEC", help="a .spec file, or the name of a description that comes with the program")
    about.add_argument("instruction", metavar="INSTR", nargs="?", help="only this instruction")
    for name, kind in COMPARISONS.items():
        flag = "--states" if name == "jitted" else f"--{name}"
        about.add_argument(flag, dest=name, metavar="N", type=_count, default=kind.default,
                           help=f"states a form, {kind.title} (default: {kind.default:,}; 0: none)")
    about.add_argument("--monitor", metavar="NAME", help="the monitor profile of the last comparison (default: the first one)")
    about.add_argument("--seed", metavar="S", type=_count, default=0, help="of all that is random (default: 0)")
    about.add_argument("--jobs", metavar="N", type=_jobs, default=1, help="processes (default: 1)")
    about.add_argument("--fresh", action="store_true", help="neither use nor keep what was done before")
    about.add_argument("--format", choices=["text", "json"], default="text", help="of the result (default: text)")
    about.add_argument("-o", "--output", metavar="FILE", type=Path, help="write the result to FILE instead of standard output")
    return about


def _count(text: str) -> int:
    value = int(text, 0)
    if not 0 <= value <= MAX_STATES:
        raise argparse.ArgumentTypeError("must be at least 0")
    return value


def _jobs(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 256:
        raise argparse.ArgumentTypeError("must be between 1 and 256")
    return value


def fuzz(arguments: list[str]) -> int:
    """The command; returns the exit code."""
    asked = parser().parse_args(arguments)
    isa = load(asked.spec)
    names = {name.casefold(): name for name in isa.instructions()}
    if asked.instruction is not None and asked.instruction.casefold() not in names:
        raise no_such("instruction", asked.instruction.upper(), list(names.values()), isa.name)
    if asked.monitor is not None and asked.monitor not in isa.monitors:
        raise no_such("monitor", asked.monitor, list(isa.monitors), isa.name)
    if not enabled():
        print("vcheck: VCHECK_JIT=0: there is no jitted machine to compare", file=sys.stderr)
        return USAGE
    only = (names[asked.instruction.casefold()],) if asked.instruction is not None else ()
    plan = Plan(asked.spec, {name: getattr(asked, name) for name in COMPARISONS}, asked.seed, only, asked.jobs,
                None if asked.fresh else default_directory(), asked.monitor or "")
    try:
        campaign = Campaign(plan)
        with progress() as tell:
            whole = campaign.run(tell)
    except NotGenerated as reason:
        print(f"vcheck: only the plain machine runs {isa.name}: {reason}", file=sys.stderr)
        return USAGE
    except MachineError as reason:
        print(f"vcheck: {isa.name}: no batches of states: {reason}", file=sys.stderr)
        return USAGE
    tallies = campaign.tallies()
    text = (as_json if asked.format == "json" else as_text)(campaign, tallies)
    if asked.output is not None:
        write(asked.output, text)
    else:
        sys.stdout.write(text)
    return FINDINGS if any(tally.findings for tally in tallies.values()) else PROVED if whole else INCONCLUSIVE


# ---- the result ----------------------------------------------------------------------------


def as_text(campaign: Campaign, tallies: dict[tuple[str, int], Tally]) -> str:
    """A line for each comparison, and the disagreements."""
    isa, lines = campaign.isa, []
    for name in campaign.plan.states:
        of = {index: tally for (comparison, index), tally in tallies.items() if comparison == name}
        if not of:
            continue
        did = sum((Counter(tally.did) for tally in of.values()), Counter())
        wrong = sum(bool(tally.findings) for tally in of.values())
        told = ", ".join(f"{did[what]:,} {what}" for what in sorted(did, key=lambda what: (what in ASIDE, what)))
        least = min((compared(tally.did) for tally in of.values()), default=0)
        lines.append(f"{isa.name}: {title(campaign, name)}: {'agree' if not wrong else f'{wrong} forms DISAGREE'}")
        lines.append(f"  {len(of)} forms, {compared(did):,} states, at least {least:,} a form: {told}")
    found = [(name, index, finding) for (name, index), tally in tallies.items() for finding in tally.findings]
    for name, index, finding in found[:MAX_SHOWN]:
        form = isa.forms[index]
        lines += ["", f"{form.instruction} ({form.template}), {title(campaign, name)}:", *(f"  {line}" for line in finding.state),
                  "  after the step:", *(f"    {line}" for line in finding.differences), f"  again: {again(campaign, name, index)}"]
    if len(found) > MAX_SHOWN:
        lines += ["", f"and {len(found) - MAX_SHOWN} more"]
    return "\n".join(lines) + "\n" if lines else "nothing was asked for\n"


def title(campaign: Campaign, comparison: str) -> str:
    """What a comparison is called, and under which monitor it is made."""
    kind = COMPARISONS[comparison]
    return f"{kind.title}, under {campaign.worker.monitor or 'no monitor'}" if kind.monitored else kind.title


def compared(did: Mapping[str, int]) -> int:
    """How many states were compared."""
    return sum(count for what, count in did.items() if what not in ASIDE)


def as_json(campaign: Campaign, tallies: dict[tuple[str, int], Tally]) -> str:
    """Everything, form by form."""
    forms = []
    for (name, index), tally in tallies.items():
        form = campaign.isa.forms[index]
        findings = [{"state": finding.state, "differences": finding.differences} for finding in tally.findings]
        forms.append({"comparison": name, "instruction": form.instruction, "form": form.template, "did": dict(sorted(tally.did.items())),
                      "disagreements": findings, **({"command": again(campaign, name, index)} if findings else {})})
    told = {"isa": campaign.isa.name, "monitor": campaign.worker.monitor, "seed": campaign.plan.seed}
    return json.dumps({**told, "forms": forms}, indent=2) + "\n"


def again(campaign: Campaign, comparison: str, index: int) -> str:
    """The command that makes the same states of this form again, and no others."""
    plan, parts = campaign.plan, []
    for name, states in plan.states.items():
        parts.append(f"{'--states' if name == 'jitted' else f'--{name}'} {states if name == comparison else 0}")
    if COMPARISONS[comparison].monitored and plan.monitor:
        parts.append(f"--monitor {plan.monitor}")
    return f"vcheck fuzz {plan.spec} {campaign.isa.forms[index].instruction} {' '.join(parts)} --seed {plan.seed} --fresh"
