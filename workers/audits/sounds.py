"""The WAVs of an audit: no more than are wanted, and none twice."""

from collections.abc import Sequence

from app.audits import files
from app.audits.exhibits import Recordings
from models.attacks import Attack
from models.audio import encode_wav
from models.audit.measures.stoi import stoi
from workers.audits.folder import Folder
from workers.audits.shown import ScoredInputs, ShownClip, said


class Sounds:
    """Writes WAVs.

    Args:
        most: of them.
    """

    def __init__(self, folder: Folder, scored: ScoredInputs, most: int) -> None:
        self._folder = folder
        self._scored = scored
        self._left = most if scored.clips.audible else 0
        self._written: set[str] = set()

    def add(self, clip: ShownClip, place: int) -> Recordings | None:
        """A clip under a successful attack as a WAV, and its own sound beside it.

        Returns:
            Their names; None if there is no room for both, or no sound.
        """
        row = clip.row
        names = Recordings(
            original=files.clean_name(row.index),
            adversarial=files.sound_name(row.index, place + 1),
        )
        missing = {names.original, names.adversarial} - self._written
        if not missing:
            return names
        if place not in clip.inputs or len(missing) > self._left:
            return None
        self._left -= len(missing)
        self._written |= missing
        sound = self._scored.sound(clip, place)
        if names.original in missing:
            own = encode_wav(sound.own)
            self._folder.add(names.original, own, f"{row.clip} at 16 kHz")
        shown = row.attacked[place]
        attack = self._scored.audit.attacks[shown.attack]
        self._folder.add(
            names.adversarial,
            encode_wav(sound.adversarial, encoding=sound.encoding),
            f"{row.clip} under {said(attack, shown.strength)}: {sound.heard}",
            stoi(sound.own, sound.adversarial) if isinstance(attack, Attack) else None,
        )
        return names

    def add_weakest(self, clip: ShownClip, place: int | None) -> None:
        """A clip under the attack that is pictured, if that was a success."""
        if place is not None and clip.row.attacked[place].success:
            self.add(clip, place)

    def add_others(self, clips: Sequence[ShownClip]) -> None:
        """The other successful attacks, a clip at a time, while there is room."""
        for clip in clips:
            for place, one in enumerate(clip.row.attacked):
                if one.success:
                    self.add(clip, place)
