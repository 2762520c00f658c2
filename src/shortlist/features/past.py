"""A user's features as they were at some offset of the log: folded again from its start or a checkpoint."""

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from shortlist.events.log import EVENTS, EventLog
from shortlist.events.partition import partition_of
from shortlist.features.fold import fold
from shortlist.features.replay import counted
from shortlist.features.store import Features, FeatureStore, FeatureStoreError
from shortlist.features.view import FeatureView

Asked = tuple[str, int]
"""A user and the version that their features had."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Features).decode


class PastGone(FeatureStoreError):
    """What features were folded from is not in the log any more."""


def as_of(
    events: EventLog, store: FeatureStore, view: FeatureView, dedup_window: int, asked: Iterable[Asked]
) -> dict[Asked, Features | PastGone]:
    """The features of each (user, version), nothing expired yet; or why they cannot be had.

    version: `Features.version` of then; 0: of somebody who had done nothing. A partition is read once,
    however many of its users are asked for: 10,000 events take about 50 ms. Blocking.
    """
    found: dict[Asked, Features | PastGone] = {}
    by_partition: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    partitions = events.partitions(EVENTS)
    for user_id, version in sorted(set(asked)):
        if version:
            by_partition[partition_of(user_id, partitions)][user_id].append(version)
        else:
            found[user_id, 0] = Features()
    for partition, users in by_partition.items():
        found |= _of_partition(events, store, view, dedup_window, partition, users)
    return found


def _of_partition(
    events: EventLog,
    store: FeatureStore,
    view: FeatureView,
    dedup_window: int,
    partition: int,
    users: dict[str, list[int]],
) -> dict[Asked, Features | PastGone]:
    """users: versions of each, ascending."""
    begin = events.begins(EVENTS)[partition]
    start, copies = store.checkpointed(partition) if begin else (0, iter(()))
    states = {user_id: features for user_id, features in copies if user_id in users}
    deleted = store.forgotten(partition)
    found: dict[Asked, Features | PastGone] = {}
    left: dict[str, list[int]] = {}
    for user_id, versions in users.items():
        for version in versions:
            if version <= deleted.get(user_id, 0):
                found[user_id, version] = PastGone("the user was deleted")
            elif version < start:
                found[user_id, version] = PastGone(
                    f"the log begins at offset {begin} of partition {partition}, its checkpoint at {start}; "
                    f"the user as of offset {version - 1} is not known any more"
                )
            else:
                left.setdefault(user_id, []).append(version)
    end = max((versions[-1] for versions in left.values()), default=start)
    for record, event in counted(events, partition, start, end, dedup_window):
        user_id = event.user_id
        open_ = left.get(user_id)
        if not open_ or record.offset < deleted.get(user_id, 0):
            continue
        while open_ and record.offset >= open_[0]:
            found[user_id, open_.pop(0)] = _copy(states.get(user_id))
        if open_:
            features = states.setdefault(user_id, Features())
            fold(features, event, offset=record.offset, appended_ms=record.appended_ms, view=view)
    for user_id, versions in left.items():
        found |= {(user_id, version): _copy(states.get(user_id)) for version in versions}
    for (user_id, version), had in found.items():
        if isinstance(had, Features) and had.version != version:
            # A record was damaged since, or the log was replaced under the features.
            found[user_id, version] = PastGone(
                f"the log of partition {partition} leads to version {had.version} of the user, "
                f"not to {version}"
            )
    return found


def _copy(features: Features | None) -> Features:
    return _decode(_encode(features)) if features is not None else Features()
