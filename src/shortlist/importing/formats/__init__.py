"""The data sets that are recognised by their names and columns: one file each, asked in this order."""

from collections.abc import Callable, Sequence
from pathlib import Path

from shortlist.importing.formats.movielens import movielens
from shortlist.importing.formats.online_retail import online_retail
from shortlist.importing.formats.rees46 import rees46
from shortlist.importing.formats.retailrocket import retailrocket
from shortlist.importing.formats.yoochoose import yoochoose
from shortlist.importing.found import Found
from shortlist.importing.plan import Plan

Recognise = Callable[[Sequence[Found], Sequence[Found]], Plan | None]
"""Called with the files given and with those beside them; a plan, or None when they are not its own."""

FORMATS: tuple[Recognise, ...] = (movielens, retailrocket, rees46, yoochoose, online_retail)


def recognise(given: Sequence[Found], beside: Sequence[Found]) -> Plan | None:
    """The plan of the first format that knows the files."""
    return next((plan for format_ in FORMATS if (plan := format_(given, beside))), None)


def data_sets(given: Sequence[Found]) -> dict[Path, Plan]:
    """Each data set among the files, by where it lies: its folder or zip, or its first file where several
    share those."""
    places: dict[Path, list[Found]] = {}
    for found in given:
        places.setdefault(found.path if found.member else found.path.parent, []).append(found)
    sets: dict[Path, Plan] = {}
    for place, files in places.items():
        plans = [plan for format_ in FORMATS if (plan := format_(files, ()))]
        for plan in plans:
            rows = (*plan.events, *plan.items)
            sets[place if len(plans) == 1 else rows[0].found.path] = plan
    return sets
