"""When a session ends and the next begins: one rule for the fold and for training."""


def is_new_session(
    *, count: int, current_id: str, last_ts: int, ts: int, session_id: str | None, gap_ms: int
) -> bool:
    """Whether an interaction begins a new session of its user.

    count, current_id, last_ts: interactions in the session so far (0: there is none), its id ("" while no
    event named one) and its latest event time. A late event (ts below last_ts) stays in the session.

    >>> is_new_session(count=3, current_id="a", last_ts=1_000, ts=2_000, session_id="b", gap_ms=1_800_000)
    True
    >>> is_new_session(count=3, current_id="", last_ts=1_000, ts=2_000, session_id="b", gap_ms=1_800_000)
    False
    """
    if not count:
        return True
    if session_id and current_id and session_id != current_id:
        return True
    return ts - last_ts > gap_ms


class SessionNumbers:
    """Numbers every user's sessions over a replay of the log, as the fold does (`Seen.session`)."""

    def __init__(self, gap_s: float) -> None:
        self._gap_ms = int(gap_s * 1000)
        self._current: dict[str, tuple[int, str, int]] = {}  # user → number, id, latest ts

    def number(self, user_id: str, ts: int, session_id: str | None) -> int:
        """The running number, from 1, of the session that this interaction belongs to.

        Call it once per interaction, in log order, duplicates left out."""
        number, current_id, last_ts = self._current.get(user_id, (0, "", 0))
        if is_new_session(
            count=number,
            current_id=current_id,
            last_ts=last_ts,
            ts=ts,
            session_id=session_id,
            gap_ms=self._gap_ms,
        ):
            number, current_id, last_ts = number + 1, "", ts
        self._current[user_id] = (number, session_id or current_id, max(last_ts, ts))
        return number
