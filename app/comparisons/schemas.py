"""What a comparison is asked for, and what it answers."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlencode

from pydantic import Field, StringConstraints, model_validator

from app.jobs.schemas import JobStatus, Progress
from app.schemas import Schema, Timestamp, at
from models.audit.checks import Evidence
from models.audit.comparison import FIGURES, Crossed, Delta, FigureName, Ranked

MOST_AUDITS: Final = 5
"""Of one comparison: ten pairs, whose p are adjusted for each other."""
LETTERS: Final = "ABCDE"
"""What the sentences call them."""
PATH: Final = "/v1/comparisons"

AuditId = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class ComparisonRequest(Schema):
    """Audits to compare."""

    audits: list[AuditId] = Field(
        min_length=2,
        max_length=MOST_AUDITS,
        description="Two to five, each once. The sentences call them A, B, … in this order.",
        examples=[["audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF", "audit_01K9ZQ3W8M4V7T2X6B5N0C1DEG"]],
    )
    baseline: AuditId | None = Field(
        default=None,
        description="One of them: each other one is compared with it alone. Without one, every"
        " audit is compared with every other one.",
        examples=["audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF"],
    )
    figures: list[FigureName] = Field(
        default=list(FIGURES),
        min_length=1,
        max_length=len(FIGURES),
        description="Which are compared. p is adjusted for all comparisons that are made, so who"
        " asks one question finds smaller differences.",
    )
    all: bool = Field(default=False, description="In `differs`, also the fields that agree.")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for place, audit in enumerate(self.audits):
            if audit in self.audits[:place]:
                raise at(
                    ("audits", place), "audit_twice",
                    "is there twice: give each audit once, and another one to compare it with",
                    audit,
                )  # fmt: skip
        for place, figure in enumerate(self.figures):
            if figure in self.figures[:place]:
                raise at(("figures", place), "figure_twice", "is there twice: give it once", figure)
        return self

    @model_validator(mode="after")
    def _a_baseline_among_them(self) -> Self:
        if self.baseline is not None and self.baseline not in self.audits:
            raise at(
                ("baseline",),
                "unknown_baseline",
                f"is none of the audits: give one of {', '.join(self.audits)}",
                self.baseline,
            )
        return self

    def pairs(self) -> list[tuple[int, int]]:
        """Places of `a` and `b` of all that is compared."""
        places = range(len(self.audits))
        if self.baseline is None:
            return [(a, b) for a in places for b in places if a < b]
        first = self.audits.index(self.baseline)
        return [(first, place) for place in places if place != first]

    @property
    def url(self) -> str:
        """Where the same is answered to a GET."""
        return link(self.audits, self.baseline, self.figures, all_fields=self.all)


def link(
    audits: Sequence[str],
    baseline: str | None,
    figures: Sequence[FigureName] = FIGURES,
    *,
    all_fields: bool = False,
) -> str:
    """The path of a comparison; what is as it is by default is left out."""
    query = [("audits", one) for one in audits]
    if baseline is not None:
        query.append(("baseline", baseline))
    if tuple(figures) != FIGURES:
        query += [("figures", one) for one in figures]
    if all_fields:
        query.append(("all", "true"))
    return f"{PATH}?{urlencode(query)}"


class ComparedAudit(Schema):
    """An audit of a comparison."""

    id: str = Field(examples=["audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    name: str = Field(description="In the sentences.", examples=["A"])
    model: str | None = Field(examples=["cnn4-single-cremad"])
    status: JobStatus
    progress: Progress
    created_at: Timestamp
    evidence: Evidence | None = Field(
        default=None,
        description="Whether its figures may be relied on. Where it is `invalid`, the audit is not"
        " ranked. Null of an audit that has not ended, and of one from before there were checks.",
        examples=["sound"],
    )
    url: str = Field(examples=["/v1/audits/audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])


class LeftOut(Schema):
    """What an audit has that not all have."""

    audit: str
    clips: int = Field(examples=[0])
    points: list[str] = Field(
        description="Attacks and corruptions at their strengths.",
        examples=[["0.04 sigma (features linf), fgsm"]],
    )


class CommonGround(Schema):
    """What all audits have, which is all that is compared."""

    clips: int = Field(examples=[48])
    speakers: int | None = Field(description="Null where some are not known.", examples=[12])
    points: int = Field(description="Attacks and corruptions at their strengths.", examples=[10])
    left_out: list[LeftOut] = Field(description="Of each audit that has more.")


class Difference(Schema):
    """A field of the audits' requests, models, clips or environments."""

    field: str = Field(examples=["request.attacks.pgd.steps"])
    values: dict[str, Any] = Field(
        description="By audit; null where there is no such field.",
        examples=[
            {
                "audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF": 10,
                "audit_01K9ZQ3W8M4V7T2X6B5N0C1DEG": 20,
            }
        ],
    )


class Comparison(Schema):
    """Audits beside each other."""

    object: Literal["comparison"] = "comparison"
    status: Literal["waiting", "done"] = Field(
        description="`waiting` while one of the audits has not ended: then `common`, `comparisons`"
        " and the lists are null. Ask again."
    )
    url: str = Field(
        description="Where the same is found again.",
        examples=[
            "/v1/comparisons?audits=audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF&audits=audit_01K9ZQ3W8M4V7T2X6B5N0C1DEG"
        ],
    )
    audits: list[ComparedAudit]
    baseline: str | None
    common: CommonGround | None = None
    comparisons: int | None = Field(
        default=None,
        description="Tests that were made, for which each `p_holm` is adjusted.",
        examples=[24],
    )
    differs: list[Difference] | None = Field(
        default=None,
        description="The fields of the request, the model, the clips, the versions and the device"
        " in which the audits differ; with `all`, every field.",
    )
    ranking: list[Ranked] | None = Field(
        default=None,
        description="A sentence for each pair of audits on clean clips, at each worst case and at"
        " each corruption.",
    )
    deltas: list[Delta] | None = None
    crossed: list[Crossed] | None = Field(
        default=None, description="Which clips are broken in both audits, in one, or in neither."
    )
    warnings: list[str] | None = None
