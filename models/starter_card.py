"""The card of a starter: what it is, what it was made from, how well it holds."""

import json
from collections.abc import Mapping
from typing import Any, Final

import torch

from models.checkpoint import CONFIG, WEIGHTS, ModelConfig
from models.features import HOP, SAMPLE_RATE, WINDOW, mel_filter_bank
from models.provenance import Provenance
from models.training_plan import Recipe

EPSILONS: Final = (0.02, 0.04, 0.1)


def card(name: str, config: ModelConfig, sha256: str) -> str:
    """The model card: what it is, what it was made from, how well it holds."""
    run = Provenance.of(config)
    recipe = run.recipe
    if recipe is None:
        raise ValueError(f"{name} does not say how it was trained: there is nothing for a card")
    seconds = ((config.frames - 1) * HOP + WINDOW) / SAMPLE_RATE
    return f"""# {name}

CNN-4 on log-mel spectrograms: one of {len(config.labels)} emotions ({", ".join(config.labels)})
for a clip of English speech. Defence: `{json.dumps(config.defense, sort_keys=True)}`.

{_uars(config.metrics)}

Chance is {1 / len(config.labels):.3f}. ε counts standard deviations of a mel band; FGSM and PGD
(ten steps) with the true labels and without η, on the first window of a clip.

{_nature(config.metrics)}
- **Data**: CREMA-D (Cao et al., IEEE Transactions on Affective Computing, 2014),
  {run.selection}, speaker-independent:
  {_counts(run)}.
  {_bandwidth(run.sample_rates_hz)}
- **Protocol**: `make starter`. Adam, learning rate {recipe.learning_rate:g} times {recipe.decay:g}
  every {recipe.decay_every} iterations and linearly to zero over the last {recipe.cooldown};
  {recipe.iterations:,} iterations of {recipe.batch_size} clips, passes in {recipe.precision}, seed
  {recipe.seed}.{_adversary(recipe)}{_varied(recipe)}{_where(run)}
  Trained on the training split alone; the last model, no selection. Clips are repeated or cut to
  {config.frames} frames ({seconds:.1f} s).
- **Front end**: `{config.front_end}`, 64 log-mel bands at 16 kHz, z-scored with the statistics of
  what was learnt from, which are part of `{CONFIG}`.
- **Use**: a starting point and a reference for audits. Acted speech of \
{sum(run.speakers.values())} speakers: do not judge
  people with it.
- **Licence**: weights Apache-2.0; the corpus is under the Open Database License 1.0, its contents
  are under the Database Contents License 1.0.
- **SHA-256** of `{WEIGHTS}`: `{sha256}`
"""


def _uars(metrics: Mapping[str, Any]) -> str:
    """The tables of UARs, and what another corpus gives."""
    lines = _table("FGSM", {split: metrics[split] for split in ("dev", "test")}, "fgsm_uar")
    pgd = metrics["test"]["pgd"]
    lines += ["", *_table("PGD-10", {f"{pgd['clips']} clips of test": pgd}, "pgd_uar")]
    for split, values in metrics.items():
        if "speakers" in values:
            told = f"On `{split}`, which it never learnt from, UAR is {values['clean_uar']:.3f}"
            lines += ["", f"{told} ({values['clips']} clips of {values['speakers']} speakers)."]
    return "\n".join(lines)


def _table(attack: str, rows: Mapping[str, Any], key: str) -> list[str]:
    columns = " | ".join(f"{attack} ε = {epsilon:g}" for epsilon in EPSILONS)
    lines = [f"| UAR | clean | {columns} |", "|---|---|---|---|---|"]
    for name, values in rows.items():
        found = (values["clean_uar"], *(values[key][f"{epsilon:g}"] for epsilon in EPSILONS))
        lines.append(f"| {name} | " + " | ".join(f"{value:.3f}" for value in found) + " |")
    return lines


def _nature(metrics: Mapping[str, Any]) -> str:
    """What happens to the test recordings, and to their labels."""
    changes = metrics["test"]["corruptions"]
    lines = [
        "| on test, all windows | strength | label changed | wrong, of the right ones | UAR |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {one['corruption']} | {one['strength']:g} {one['unit']} | {one['changed']:.3f}"
        f" | {one['broken']:.3f} (n = {one['right_before']}) | {one['uar']:.3f} |"
        for one in changes
    ]
    return "\n".join(lines)


def _counts(run: Provenance) -> str:
    return ", ".join(
        f"{split} {run.clips[split]:,} clips of {run.speakers[split]} speakers"
        for split in ("train", "dev", "test")
    )


def _bandwidth(rates: list[int]) -> str:
    """What the recordings' sampling rates leave of the front end's bands."""
    named = " and ".join(f"{rate / 1000:g}" for rate in rates)
    ends = rates[-1] / 2
    bins = torch.linspace(0, SAMPLE_RATE / 2, WINDOW // 2 + 1)
    empty = int((mel_filter_bank()[bins <= ends].sum(dim=0) == 0).sum())
    text = f"Audio of {named} kHz"
    if not empty:
        return f"{text}."
    return (
        f"{text}, so nothing above {ends / 1000:.1f} kHz: the {empty} bands that lie wholly above\n"
        "  were z-scored on what resampling leaves there."
    )


def _adversary(recipe: Recipe) -> str:
    """What a defended training was attacked with."""
    if recipe.defense.inputs == "clean":
        return ""
    whose = "of its own" if recipe.defense.inputs == "own" else recipe.attack.describe()
    return (
        f"\n  Adversarial batches ({whose}, ε = {recipe.epsilon:g}) enter at iteration"
        f" {recipe.first_adversarial:,}."
    )


def _varied(recipe: Recipe) -> str:
    """What the recordings were varied with."""
    if not recipe.augment:
        return ""
    kinds = "\n  ".join(f"{one.describe()}: {list(one.strengths)}," for one in recipe.augment)
    return (
        f"\n  Each of these was applied to a share of {recipe.augment_share:g} of the clips:"
        f"\n  {kinds.rstrip(',')}."
    )


def _where(run: Provenance) -> str:
    """Where it ran, as far as that is known."""
    return "" if run.torch is None else f"\n  torch {run.torch} on {run.device}."
