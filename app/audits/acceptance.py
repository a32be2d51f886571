"""What of an audit is refused before it is queued: what would fail in its worker, and too much."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy.orm import Session

from app.audits import fit, hardening
from app.audits.schemas import AnyAuditRequest, AuditRequest
from app.corpora import noises
from app.corpora import service as corpora
from app.corpora.tables import Corpus
from app.errors import Invalid, NotFound
from app.persistence.storage import Storage
from app.registry import service as registry
from app.registry.service import Entry
from app.settings import Settings
from models.attacks import TargetLabel
from models.audit.forecast import total
from models.corpus.aliases import hint


@dataclass(frozen=True)
class Accepted:
    """What a request names, found and held to go together.

    Attributes:
        entry: the model.
        sources: the models that its attacks are carried out on.
        noises: the corpora whose recordings its corruptions take.
    """

    entry: Entry
    corpus: Corpus
    sources: tuple[Entry, ...]
    noises: tuple[Corpus, ...]


def check(
    session: Session, storage: Storage, settings: Settings, request: AuditRequest, *, owner: str
) -> Accepted:
    """The model and the corpus of an audit that can be queued.

    Raises:
        NotFound: there is no such model or corpus, or it is another key's.
        Invalid: the two do not go together, an attack cannot be run on them, a corpus of noises is
            not there, the audit is too large, or `harden` asks for what cannot be trained.
    """
    entry = registry.get(session, storage, request.model, owner=owner)
    return check_model(session, storage, settings, request, entry, owner=owner)


def check_model(
    session: Session,
    storage: Storage,
    settings: Settings,
    request: AuditRequest,
    entry: Entry,
    *,
    owner: str,
) -> Accepted:
    """`check` for a model that is known already, or will be such a one.

    Raises:
        NotFound, Invalid: as `check`.
    """
    corpus = corpora.get(session, request.corpus, owner=owner)
    labels = _check_fit(storage, entry, corpus, request, settings)
    _check_group(storage, corpus, request)
    sources = check_attacks(session, storage, entry, request, labels, owner=owner)
    _check_recordings(storage, entry, corpus, request)
    found = noises.check(session, storage, request.corruptions, "corruptions", owner=owner)
    if request.harden is not None:
        hardening.check(
            session, storage, settings, request, request.harden, entry.config, owner=owner
        )
    return Accepted(entry, corpus, sources, found)


def _check_fit(
    storage: Storage, entry: Entry, corpus: Corpus, request: AuditRequest, settings: Settings
) -> list[str]:
    """Clips of emotions that the model does not know are left out: it could not be right on them.

    Returns:
        The labels of the clips that are left.

    Raises:
        Invalid: the model and the corpus do not go together, or the audit is too large.
    """
    classes = corpora.numbers(storage, corpus, request.partition, request.fold).classes
    unknown = fit.unknown_labels(entry.config, classes)
    known = sorted(classes.keys() - unknown.keys())
    if not known:
        raise Invalid.of(
            "model",
            entry.id,
            f"it knows {', '.join(entry.config.labels)}, and {request.partition} of the corpus has"
            f" none of these but {', '.join(classes)}",
            hint(unknown, entry.config.labels)
            or "choose a model and a corpus with emotions in common",
            code="no_common_emotions",
        )
    _check_left_out(entry, request, sum(unknown.values()), classes, unknown)
    clips = sum(classes[name] for name in known)
    check_size(entry, request, min(clips, request.limit or clips), settings)
    return known


def _check_left_out(
    entry: Entry,
    request: AuditRequest,
    clips: int,
    classes: Mapping[str, int],
    unknown: Mapping[str, int],
) -> None:
    """Refuse an audit of the smaller part of a partition, unless that is asked for.

    Raises:
        Invalid: more than half of the clips have emotions that the model does not know.
    """
    total_clips = sum(classes.values())
    if 2 * clips <= total_clips or request.allow_partial:
        return
    advice = hint(unknown, entry.config.labels) or "choose a model that knows them"
    raise Invalid.of(
        "model",
        entry.id,
        f"it does not know the emotions of {clips} of the {total_clips} clips of"
        f" {request.partition} ({', '.join(unknown)})",
        f'{advice}; or give "allow_partial": true to audit the others alone',
        code="most_clips_left_out",
    )


def check_size(entry: Entry, request: AnyAuditRequest, clips: int, settings: Settings) -> None:
    """Refuse an audit whose rows would fill the disk, or that would never end.

    Raises:
        Invalid: it has more scores or passes than the service allows.
    """
    n_classes = len(entry.config.labels)
    strengths = sum(len(one.strengths) for one in request.perturbations)
    scores = clips * n_classes * (1 + strengths)
    if scores > settings.max_audit_scores:
        raise Invalid.of(
            "attacks",
            f"{strengths} strengths",
            f"with {clips} clips and {n_classes} labels these are {scores} scores,"
            f" more than the {settings.max_audit_scores} that this service allows",
            "give a limit, or fewer strengths",
            code="too_many_scores",
        )
    cost = total(request.perturbations, clips, n_classes)
    if cost.forwards + cost.backwards > settings.max_audit_passes:
        raise Invalid.of(
            "attacks",
            f"{cost.forwards + cost.backwards} passes",
            f"with {clips} clips the attacks need up to {cost.forwards} forward and"
            f" {cost.backwards} backward passes, more than the {settings.max_audit_passes} that"
            " this service allows",
            "give a limit, fewer strengths, steps, restarts or queries",
            code="too_many_passes",
        )


def check_attacks(
    session: Session,
    storage: Storage,
    entry: Entry,
    request: AnyAuditRequest,
    clip_labels: Collection[str | None],
    *,
    owner: str,
) -> tuple[Entry, ...]:
    """Refuse attacks that cannot be run on this model and these clips, and a missing detector.

    Args:
        clip_labels: the labels that there are among the clips.

    Returns:
        The other models that they need.

    Raises:
        Invalid: naming the attack's field.
    """
    if request.detector and entry.detector is None:
        raise Invalid.of(
            "detector",
            request.detector,
            f"no detector is attached to {entry.id}",
            f"train one for it or PUT /v1/models/{entry.id}/detector, or leave detector out",
            code="no_detector",
        )
    sources: dict[str, Entry] = {}
    for number, attack in enumerate(request.attacks):
        fault = attack.unsuited(entry.config.labels)
        if fault is not None:
            raise Invalid.of(
                f"attacks.{number}.{fault.field}",
                fault.value,
                fault.reason,
                fault.remedy,
                code="unsuited_attack",
            )
        if isinstance(attack.goal, TargetLabel) and set(clip_labels) == {attack.goal.label}:
            raise Invalid.of(
                f"attacks.{number}.goal.label",
                attack.goal.label,
                "it is the label of every clip, and there is nothing to move towards it",
                "give another label",
                code="own_label",
            )
        for source in attack.sources:
            find = partial(registry.get, session, storage, source, owner=owner)
            other = _source(find, entry, f"attacks.{number}.from", source)
            if attack.domain == "features":
                _check_front_end(other, entry, f"attacks.{number}.from", source)
            sources[source] = other
    return tuple(sources.values())


def _source(find: Callable[[], Entry], entry: Entry, field: str, source: str) -> Entry:
    """The model that an attack is carried out on, if its results mean something on ``entry``."""
    try:
        other = find()
    except NotFound as error:
        raise Invalid.of(
            field, source, "there is no such model", "give one of those that GET /v1/models lists",
            code="unknown_model",
        ) from error  # fmt: skip
    if other.config.labels != entry.config.labels:
        raise Invalid.of(
            field,
            source,
            f"it knows {', '.join(other.config.labels)}, and {entry.id} knows"
            f" {', '.join(entry.config.labels)}",
            "give a model with the same labels in the same order",
            code="other_labels",
        )
    return other


def _check_front_end(other: Entry, entry: Entry, field: str, source: str) -> None:
    """Refuse to carry features over from a model that hears otherwise.

    Raises:
        Invalid: naming the field.
    """
    own, others = entry.config.front_end, other.config.front_end
    if own != others:
        raise Invalid.of(
            field,
            source,
            f"its front end is {others}, and that of {entry.id} is {own}: features of one mean"
            " nothing to the other",
            "give the attack the domain waveform",
            code="other_front_end",
        )


def _check_recordings(
    storage: Storage, entry: Entry, corpus: Corpus, request: AuditRequest
) -> None:
    """Refuse attacks on waveforms, and corruptions, where there are none, as in a corpus whose
    sound was removed."""
    of_waveforms = [
        (f"attacks.{n}.domain", "waveform")
        for n, one in enumerate(request.attacks)
        if one.domain == "waveform"
    ] + [(f"corruptions.{n}.type", one.type) for n, one in enumerate(request.corruptions)]
    if not of_waveforms:
        return
    chosen = corpora.selection(
        storage, corpus, request.partition, entry.config.labels, request.fold
    )
    if not all(path.is_file() for path in chosen.recordings):
        raise Invalid.of(
            *of_waveforms[0],
            "the recordings of the corpus are not at hand",
            "upload the corpus again, or attack its features alone",
            code="no_recordings",
        )


def _check_group(storage: Storage, corpus: Corpus, request: AuditRequest) -> None:
    """Refuse to group by a column that the corpus lacks."""
    wanted = request.group_by
    if wanted is None:
        return
    known = corpora.columns(storage, corpus)
    if wanted not in known:
        raise Invalid.of(
            "group_by",
            wanted,
            "the corpus' index.csv has no such column with values in it",
            f"give one of {', '.join(known)}, or leave it out: audits are always compared by"
            " speaker, gender, emotion and duration"
            if known
            else "leave it out: figures by speaker, gender, emotion and duration are always there",
            code="unknown_column",
        )
