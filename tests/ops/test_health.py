"""What a load balancer is told."""

from shortlist.ops.health import Health


def test_a_warning_is_said_and_keeps_nobody_away() -> None:
    found = Health({"log": lambda: None}, {"model": lambda: "version 2 was refused"}).readiness()
    assert (found.is_ready, found.is_whole) == (True, False)
    assert found.parts == {"log": "ok", "model": "version 2 was refused"}


def test_what_keeps_a_part_from_being_ready_goes_before_its_warning() -> None:
    found = Health({"model": lambda: "none loads"}, {"model": lambda: "old"}).readiness()
    assert not found.is_ready
    assert found.parts == {"model": "none loads"}


def test_all_well_is_whole() -> None:
    found = Health({"model": lambda: None}, {"model": lambda: None}).readiness()
    assert (found.is_ready, found.is_whole, found.parts) == (True, True, {"model": "ok"})
