"""The data sets that are recognised by their names and columns: one file each, asked in this order."""

from collections.abc import Callable, Sequence

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
    for format_ in FORMATS:
        if plan := format_(given, beside):
            return plan
    return None
