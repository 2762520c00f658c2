"""The port of the feature store, its records and its errors."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, field

from shortlist.errors import ShortlistError
from shortlist.events.event import Event
from shortlist.events.log import EventLog, Stored


class FeatureStoreError(ShortlistError):
    """The feature store cannot do what was asked."""


class StoreUnavailable(FeatureStoreError):
    """The engine did not answer within its timeout."""


class OffsetMoved(FeatureStoreError):
    """Another owner folded this partition first; seek the log to `stored` and go on."""

    def __init__(self, partition: int, expected: int, stored: int) -> None:
        super().__init__(
            f"partition {partition}: expected offset {expected}, the store has {stored}; "
            "seek there and continue (nothing was written)"
        )
        self.stored = stored


class FoldChanged(FeatureStoreError):
    """What is stored was folded with other settings than those of today: the two must not be mixed."""

    def __init__(self, changed: Mapping[str, tuple[float, float]]) -> None:
        """changed: setting → its value then and now."""
        said = ", ".join(f"{name} = {then:g} (now {now:g})" for name, (then, now) in changed.items())
        super().__init__(
            f"the features of this home were folded with {said}; stop the server and run `shortlist rebuild` "
            "to fold the log anew, or put the setting back"
        )


class RebuildUnfinished(FeatureStoreError):
    """A rebuild was interrupted before the features were whole again."""

    def __init__(self) -> None:
        super().__init__("a rebuild of the features was interrupted: run `shortlist rebuild` again")


class Seen(Struct, frozen=True, array_like=True, gc=False):
    """One interaction in a user's past. `ts` in ms."""

    item_id: str
    type: str
    ts: int
    session: int  # running number of the user's session it belongs to


class Ignored(Struct, frozen=True, array_like=True):
    """How often an item was shown since the user last interacted with it: decayed, as of `ts` (ms)."""

    shown: float
    ts: int


class Features(Struct, array_like=True):
    """Everything folded about one user, in event order. An unknown user has the empty one.

    What expires (`last_5`, `session_*`, `affinity`, `ignored`) is already emptied by `read` when its time is
    over.
    """

    last_5: list[str] = field(default_factory=list)  # oldest first, repeats kept
    history: list[Seen] = field(default_factory=list)  # last 200 interactions, oldest first
    counts: dict[str, int] = field(default_factory=dict)  # by event type
    interaction_count: int = 0
    first_ts: int = 0  # ms, smallest event time seen; 0: none
    last_ts: int = 0  # ms, largest event time seen
    affinity: dict[str, float] = field(default_factory=dict)  # category -> weight at `affinity_ts`
    affinity_ts: int = 0
    purchased: dict[str, float] = field(
        default_factory=dict
    )  # item -> quantity kept (cancellations taken off)
    consumed: dict[str, int] = field(
        default_factory=dict
    )  # item rated -> ts; bought once and gone for most shops
    disliked: dict[str, int] = field(default_factory=dict)  # item -> ts
    session_id: str = ""
    session_number: int = 0
    session_start_ts: int = 0
    session_count: int = 0  # interactions in the session that goes on; 0: none does
    appended_ms: int = 0  # append time of the user's last record: starts the expiry
    version: int = 0  # offset + 1 of the last record that changed anything here
    taste_version: int = 0  # offset + 1 of the last record that can change a slate's order
    session_last_ts: int = 0  # latest event time in the session
    preferred: list[str] = field(default_factory=list)  # categories chosen in the survey
    stars: dict[str, float] = field(default_factory=dict)  # sample item of the survey -> 1 to 5
    answered_ts: int = 0  # when the survey was answered or skipped; 0: never
    merged: dict[str, int] = field(default_factory=dict)  # guest -> offset up to which their events are in
    ignored: dict[str, Ignored] = field(default_factory=dict)  # items shown and not interacted with since
    became: str = ""  # of a guest: the user they are since their first login


class Step(Struct, frozen=True):
    """What to fold into one partition at once; see `FeatureStore.fold`."""

    partition: int
    batch: Sequence[Stored]
    expect: int
    next_offset: int


class Folded(Struct, frozen=True):
    """What one step did: the events that counted, in order, and how many were duplicates or unreadable."""

    partition: int
    events: list[Event]
    duplicates: int
    unreadable: int
    offset: int  # where the step began
    next_offset: int  # up to here the partition is folded now
    tired: frozenset[str] = frozenset()  # users to whom an item has now been shown in vain too often


class FeatureStore(ABC):
    """Feature values per user and, per partition, the offset up to which events are folded.

    Blocking: for worker threads. A user's partition is `events.partition.partition_of(user_id, partitions)`.
    """

    @abstractmethod
    def read(self, user_ids: Sequence[str], now_ms: int) -> list[Features]:
        """One `Features` per id, in the order asked; an unknown user has empty ones.

        Raises StoreUnavailable when the engine does not answer within its timeout."""

    @abstractmethod
    def offset(self, partition: int) -> int:
        """The next offset to fold; 0 for a partition never folded."""

    @abstractmethod
    def fold_together(self, steps: Sequence[Step]) -> list[Folded]:
        """Fold steps of different partitions, each as `fold` would and atomic by itself; what each did.

        A few events of each cost less together than one after the other. Raises what `fold` raises for any
        of them, ValueError for two steps of one partition: then `offset` says of each whether it is in."""

    def fold(self, partition: int, batch: Sequence[Stored], *, expect: int, next_offset: int) -> Folded:
        """Fold `batch` and move the partition's offset to `next_offset` in one atomic step.

        An event whose event_id stood at one of the last `log.dedup_window` offsets counts no more.
        A value that is no event is counted as unreadable and passed over.
        Raises OffsetMoved, changing nothing, unless the stored offset is `expect`: this makes a
        replay after a crash harmless. Offsets may have gaps, so the next one is given, not computed."""
        return self.fold_together([Step(partition, batch, expect, next_offset)])[0]

    @abstractmethod
    def delete(self, user_id: str) -> None:
        """Forget one user. Events folded later make them a new one."""

    @abstractmethod
    def forgotten(self, partition: int) -> dict[str, int]:
        """Deleted users and, of each, the partition's offset then: a replay leaves out what lies before."""

    @abstractmethod
    def agree(self) -> None:
        """See that what is stored was folded with the settings of today; a new store takes them.

        Raises FoldChanged naming what differs, RebuildUnfinished."""

    @abstractmethod
    def restart(self, events: EventLog) -> list[int]:
        """Empty the features, so that folding `events` anew makes them with the settings of today.

        A partition whose log was truncated goes back to its checkpoint. Returns where each begins. A process
        that dies in here leaves a mark, and `agree` raises RebuildUnfinished until it is done again."""

    @abstractmethod
    def checkpoint(self, partition: int) -> int:
        """Keep a copy of the partition's features as they are now, in place of the copy before; its offset.

        The log may be truncated behind it, less the de-duplication window."""

    @abstractmethod
    def checkpointed(self, partition: int) -> tuple[int, Iterator[tuple[str, Features]]]:
        """The offset of the last checkpoint and every user in it; (0, nothing) where there is none."""

    @abstractmethod
    def users(self, partition: int) -> Iterator[tuple[str, Features]]:
        """Every user of a partition with what is stored (expired values included), in no order."""
