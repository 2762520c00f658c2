from shortlist.demo.personas import FEWEST, MOST, choose


def test_users_of_unlike_tastes_are_chosen() -> None:
    """Seven users of three tastes: the first three chosen are one of each."""
    likes = {
        "ann": {"Drama": 90, "Comedy": 5},
        "bea": {"Drama": 80, "Comedy": 9},
        "cid": {"Horror": 70, "Drama": 8},
        "dan": {"Horror": 60, "Drama": 3},
        "eve": {"Western": 50, "War": 40},
        "fay": {"Western": 45, "War": 42},
        "gil": {"Drama": 85},
    }
    chosen = choose({user: sum(liked.values()) for user, liked in likes.items()}, likes)
    assert len(chosen) == 7
    first = {next(iter(likes[p.user_id])) for p in chosen[:3]}
    assert first == {"Drama", "Horror", "Western"}


def test_a_name_says_what_the_user_likes_more_than_others_do() -> None:
    likes = {"1": {"Drama": 50}, "2": {"Drama": 50, "Western": 20}, "3": {"Drama": 60, "Comedy": 2}}
    names = {p.user_id: p.name for p in choose(dict.fromkeys(likes, 70), likes)}
    assert names["2"] == "User 2 · Western, Drama"


def test_neither_strangers_nor_machines_are_chosen_while_there_are_others() -> None:
    counts = {"stranger": 1, "machine": 90_000} | {f"u{n}": FEWEST + n for n in range(10)}
    chosen = {p.user_id for p in choose(counts, {})}
    assert len(chosen) == 8
    assert not chosen & {"stranger", "machine"}
    assert max(counts[user] for user in chosen) <= MOST


def test_small_data_has_the_users_it_has() -> None:
    assert [p.user_id for p in choose({"only": 2}, {})] == ["only"]
    assert choose({"only": 2}, {})[0].name == "User only"
    assert choose({}, {}) == []


def test_a_long_id_is_shortened_in_the_name_alone() -> None:
    (one,) = choose({"7a1b2c3d-4e5f-6071": 30}, {})
    assert (one.user_id, one.name) == ("7a1b2c3d-4e5f-6071", "User 7a1b2c3d-4…")
