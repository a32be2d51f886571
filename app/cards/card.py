"""A model card: Markdown with the metadata block of the Hugging Face Hub.

A card is read without the audit beside it. So every figure has its interval, its clips and its
speakers in it, noise of the same size stands beside the attack, and what speaks against relying on
the figures stands before them.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from app.audits.report import CorpusClips, Report
from app.cards.front_matter import front_matter
from app.cards.metadata import ATTACKED, MOST_POINTS, attack_name, dataset, metadata
from app.markdown import prose
from models.atlas import described
from models.audit.figure import Figure
from models.audit.intervals import FEW_SPEAKERS
from models.provenance import Provenance

BANNERS: Final = {
    "invalid": "**The evidence is invalid: nothing can be concluded from the figures below.** They"
    " are left out of the metadata block.",
    None: "**Nobody has checked the evidence of this audit**, which was made before there were"
    " checks. Its figures are left out of the metadata block.",
}
HEADS: Final = {"uar": "UAR", "success_rate": "success", "over_control": "success over noise"}


def card(report: Report, warnings: Sequence[str]) -> str:
    """The card.

    Args:
        report: of the audit that the figures are of.
        warnings: of its job.
    """
    parts = [
        _head(report),
        _use(report),
        _training(report),
        _evaluation(report),
        _figures(report),
        _attacks(report),
        _limits(report, warnings),
    ]
    block = front_matter(metadata(report, figures=report.result.evidence not in BANNERS))
    return block + "\n".join("\n".join([*part, ""]) for part in parts)


def _head(report: Report) -> Iterator[str]:
    result = report.result
    yield f"# {prose(report.model.name)}"
    yield ""
    banner = BANNERS.get(result.evidence)
    if banner is not None:
        yield "> [!CAUTION]"
        yield f"> {banner}"
        yield ""
    yield f"Evidence: **{result.evidence or 'not checked'}**"
    if result.finding:
        yield ""
        yield prose(result.finding)


def _use(report: Report) -> Iterator[str]:
    labels = ", ".join(prose(label) for label in report.model.labels)
    yield "## Intended use"
    yield ""
    yield (
        f"The model gives a clip of speech one of {len(report.model.labels)} emotions: {labels}."
        " It is made for research on speech emotion recognition, and for services whose makers have"
        " measured it on speech like theirs."
    )
    yield ""
    yield (
        "Its labels are how listeners or actors named an emotion, not what a speaker feels. It is"
        " no ground for decisions about people, such as in hiring, schools, health or policing."
    )


def _training(report: Report) -> Iterator[str]:
    model, known = report.model, Provenance.model_validate(report.model.training)
    yield "## Training"
    yield ""
    yield f"- Architecture: {prose(model.architecture)}, front end {prose(model.front_end)},"
    yield f"  windows of {model.frames} frames of 16 ms"
    yield f"- Weights: SHA-256 {model.sha256}"
    yield f"- Defence: {prose(str(model.defense.get('type', 'not stated')))}"
    yield f"- Corpus: {prose(known.corpus_name or known.corpus or 'not stated')}"
    for name, counts in (("Clips", known.clips), ("Speakers", known.speakers)):
        if counts:
            told = ", ".join(f"{prose(part)} {number}" for part, number in counts.items())
            yield f"- {name}: {told}"
    yield from _deviations(known)
    if known.index_sha256:
        yield f"- Index of the corpus: SHA-256 {prose(known.index_sha256)}"


def _deviations(known: Provenance) -> Iterator[str]:
    """What of a training is not as usual."""
    recipe = known.recipe
    if recipe is not None:
        weights = recipe.class_weights
        if weights is not None:
            each = weights.items() if isinstance(weights, dict) else ()
            told = ", ".join(f"{prose(emotion)} {weight:g}" for emotion, weight in each)
            yield f"- Class weights in the loss: {told or weights}"
        if recipe.sampling == "balanced":
            yield "- Batches: each emotion as often as any other"
        if recipe.epsilon_ramp and recipe.defense.inputs != "clean":
            yield f"- ε rose to {recipe.epsilon:g} over {recipe.epsilon_ramp} iterations"
    if known.resumed_from is not None:
        before = known.resumed_from
        yield f"- Iterations up to {before.iteration}: of {prose(before.training)}, which diverged"
    if known.overfitting is not None:
        yield f"- {known.overfitting}"


def _evaluation(report: Report) -> Iterator[str]:
    clips, result = report.clips, report.result
    yield "## Evaluation"
    yield ""
    speakers = _speakers(report)
    counted = f"{result.n} clips" + ("" if speakers is None else f" of {speakers} speakers")
    if isinstance(clips, CorpusClips):
        yield f"- Corpus: {prose(clips.corpus_name)}, partition {clips.partition}, {counted}"
    else:
        yield f"- Uploaded recordings: {counted}"
    yield f"- Clips: SHA-256 {dataset(report)['args'].get('sha256', 'not recorded')}"
    yield f"- Audit: {report.audit}, {report.created_at}, Serval {report.environment.serval},"
    yield f"  torch {report.environment.torch}, {prose(report.environment.device)}"
    if not result.complete:
        yield f"- The audit ended early: {result.n} of {result.of} clips were scored."


def _speakers(report: Report) -> int | None:
    found = report.result.clean.measures.get("accuracy")
    return None if found is None else found.n_speakers


def _figures(report: Report) -> Iterator[str]:
    result = report.result
    yield "## Figures"
    yield ""
    yield (
        "Each with its interval at 95 %. Success is the share of the clips that were right before"
        " which the attack broke. A benign control is noise of the same size without an adversary:"
        " what it does is not the attack's work."
    )
    yield ""
    yield f"| | {' | '.join(HEADS[name] for name in ATTACKED)} | clips |"
    yield f"|---|{'---|' * len(ATTACKED)}---|"
    clean = {"uar": result.clean.measures.get("uar")}
    yield _row("clean", clean, result.n)
    for case in result.worst_case:
        threat = case.threat
        at = f"worst case, {threat.domain} {threat.norm} {case.strength:g} {threat.unit}"
        yield _row(at, case.measures, case.n)
    for point in result.curve[:MOST_POINTS]:
        attack = result.attacks[point.attack]
        at = f"{attack_name(attack)} {point.strength:g} {attack.threat.unit}"
        yield _row(at, point.measures, point.n)
    if len(result.curve) > MOST_POINTS:
        yield ""
        yield f"{len(result.curve) - MOST_POINTS} more points are in the audit's report."


def _row(at: str, figures: "dict[str, Figure] | dict[str, Figure | None]", n: int) -> str:
    cells = " | ".join(_cell(figures.get(name)) for name in ATTACKED)
    return f"| {prose(at)} | {cells} | {n} |"


def _cell(figure: Figure | None) -> str:
    if figure is None or figure.value is None:
        return "–"
    if figure.interval is None:
        return f"{figure.value:.3f}"
    low, high = figure.interval
    return f"{figure.value:.3f} [{low:.3f}, {high:.3f}]"


def _attacks(report: Report) -> Iterator[str]:
    yield "## Attacks"
    yield ""
    yield "With the techniques of MITRE ATLAS that they carry out."
    yield ""
    for attack in report.result.attacks:
        techniques = "; ".join(prose(described(one)) for one in attack.atlas)
        threat = attack.threat
        about = f"{threat.domain}, {threat.norm}" if threat.norm != "none" else threat.domain
        told = f": {techniques}" if techniques else ""
        yield f"- {prose(attack_name(attack))}, {prose(about)}{told}"


def _limits(report: Report, warnings: Sequence[str]) -> Iterator[str]:
    yield "## Limits and warnings"
    yield ""
    yield (
        "- The figures hold for speech like the audited clips. Other languages, microphones and"
        " rooms were not measured unless a corruption above says so."
    )
    yield "- An attack that was not run may be stronger than those that were."
    speakers = _speakers(report)
    if speakers is None:
        yield "- Speakers are not known, so intervals take clips for independent: too narrow."
    elif speakers < FEW_SPEAKERS:
        yield f"- Of {speakers} speakers the intervals say nothing of other speakers."
    for check in report.result.checks:
        if check.status == "clear":
            continue
        state = check.severity if check.status == "raised" else "not run"
        told = ": ".join(text for text in (check.title, check.measured or check.reason) if text)
        yield f"- Check {prose(check.id)} ({state}): {prose(told)}"
    for warning in warnings:
        yield f"- {prose(warning)}"
