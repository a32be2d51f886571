"""The clips that a report shows: the broken one that was easiest to break, a median one, and the
hardest.

What each shows comes from the pass that was scored. Files are named as the audit's artifacts are,
and got there.
"""

from typing import Literal

from pydantic import Field

from app.schemas import Schema

Role = Literal["easiest", "median", "hardest"]


class Heard(Schema):
    """What the model says."""

    label: str = Field(examples=["anger"])
    score: float = Field(description="Its probability.", examples=[0.91])


class HeardFile(Heard):
    """What the model says of a file, as a prediction of that very file answers."""

    snr_db: float = Field(
        description="Energy of the clip over that of the change, both as written.", examples=[27.3]
    )


class Views(Schema):
    """Names of artifacts: the clip, the clip under attack, and what the attack changed."""

    original: str = Field(examples=["exhibit-hardest-original.png"])
    adversarial: str = Field(examples=["exhibit-hardest-adversarial.png"])
    difference: str = Field(examples=["exhibit-hardest-difference.png"])


class Recordings(Schema):
    """Names of artifacts: the whole clip, and the whole clip under attack."""

    original: str = Field(examples=["clean-000012.wav"])
    adversarial: str = Field(examples=["adversarial-000012-03.wav"])


class Exhibit(Schema):
    """A clip that the audit broke."""

    role: Role = Field(
        description="easiest: broken at the smallest strength; hardest: it withstood until the"
        " largest; median: at the median of the broken clips' strengths."
    )
    clip: str = Field(examples=["AudioWAV/1001_DFA_ANG_XX.wav"])
    index: int = Field(description="Of its row.", examples=[12])
    label: str | None = Field(examples=["anger"])
    speaker: str | None = Field(examples=["1001"])
    attack: int = Field(description="Index in the result's `attacks`.", examples=[0])
    description: str = Field(
        description="The attack at this strength, in words.", examples=["FGSM, ε = 0.02"]
    )
    strength: float = Field(
        description="The smallest at which an attack of this threat model broke the clip.",
        examples=[0.02],
    )
    unit: str = Field(examples=["sigma"])
    broken: int = Field(
        description="Clips that attacks of this threat model broke: these three are of them.",
        examples=[34],
    )
    clean: Heard
    attacked: Heard = Field(description="On what was scored.")
    resynthesised: HeardFile | None = Field(
        description="Of the adversarial WAV; null where none was written. Of an attack on log-mels"
        " it may differ from `attacked`: then the attack does not survive as sound."
    )
    noise: Heard | None = Field(
        description="Under noise of the same threat model and strength; null without such noise."
    )
    excerpt_s: tuple[float, float] = Field(
        description="What is played, from and to, in seconds of the clip: all of it, or the six"
        " seconds with the largest difference.",
        examples=[[0.0, 2.27]],
    )
    pictures: Views = Field(
        description="Spectrograms, as PNG; an SVG of the same name lies beside each. The first two"
        " share one scale of colours."
    )
    pictured_s: tuple[float, float] = Field(
        description="What the pictures show, in seconds as the network hears the clip.",
        examples=[[0.0, 5.98]],
    )
    gain_db: float | None = Field(
        description="By which both the original and the adversarial excerpt were changed, so that"
        " neither exceeds full scale; null without sounds.",
        examples=[0.0],
    )
    difference_gain_db: float | None = Field(
        description="By how much the difference was amplified beyond that, to be audible; null"
        " without sounds.",
        examples=[34.2],
    )
    sounds: Views | None = Field(
        description="The excerpts, as FLAC; null where no recording is at hand, or none was to be"
        " kept."
    )
    recordings: Recordings | None = Field(
        description="The whole sounds, as WAV; null likewise, and where the service keeps no more."
    )
