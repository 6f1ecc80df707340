"""A data set of recordings whose classes are an attribute of the speaker, such as the gender, not what is said."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audioxai.datasets.audio_files import AudioFormat
from audioxai.datasets.derived import Wrapped
from audioxai.datasets.recordings import Recordings
from audioxai.datasets.records import Listing, Recording
from audioxai.datasets.splits import Split
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class ByAttribute(Wrapped, Recordings):
    """Recordings of another data set by what its metadata say of their group; those without it are left out.

    Attributes
    ----------
    of : str
        Registered data set.
    attribute : str
        Attribute of its groups, such as ``gender``.

    Examples
    --------
    >>> ByAttribute("audio_mnist", "gender").name
    'audio_mnist_gender'
    """

    of: str
    attribute: str

    @property
    def name(self) -> str:  # type: ignore[override]
        """The data set's, with what is told apart."""
        return f"{self.inner.name}_{self.attribute.replace(' ', '_')}"

    def split_names(self, root: Path | None = None) -> tuple[str, ...]:
        """Those of the data set."""
        return self.inner.split_names(root)

    def audio_format(self, root: Path | None = None) -> AudioFormat | None:
        """That of the data set."""
        return self.inner.audio_format(root)

    def list_recordings(self, root: Path) -> Listing:
        """Recordings of the groups of which the attribute is known, labelled by it.

        Raises
        ------
        UserError
            If it does not tell two classes apart.
        """
        listing: Listing = self._recordings.list_recordings(root)
        stated = {group: about.get(self.attribute) for group, about in self.group_attributes(root).items()}
        values = {group: str(value) for group, value in stated.items() if value is not None}
        kept = [one for one in listing.recordings if one.group in values]
        names = tuple(sorted({values[str(one.group)] for one in kept}))
        if len(names) < 2:
            found = f"says {names[0]} of all" if names else "is not stated"
            raise UserError(
                f"attribute {self.attribute!r} of {self.inner.name} {found}, so that it tells no classes apart; use "
                "the data set's own labels, or put its metadata beside the recordings"
            )
        labelled = tuple(replace(one, label=names.index(values[str(one.group)])) for one in kept)
        return replace(listing, recordings=labelled, class_names=names)

    def splits_of(self, listing: Listing) -> Mapping[str, Split]:
        """Those of the data set."""
        splits: Mapping[str, Split] = self._recordings.splits_of(listing)
        return splits

    def format_of(self, listing: Listing) -> AudioFormat:
        """That of the data set."""
        found: AudioFormat = self._recordings.format_of(listing)
        return found

    def key_of(self, listing: Listing, recording: Recording) -> str:
        """The id with the class, which is not the data set's own."""
        return f"{recording.id}\0{listing.class_names[recording.label]}"

    @property
    def _recordings(self) -> Any:
        return self.inner
