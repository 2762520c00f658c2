"""In which encoding a text file is."""

import codecs

from shortlist.importing.problem import Unreadable

# How text begins that says its encoding. UTF-32 first, for its little-endian mark begins with UTF-16's.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Where in a character of ASCII its own byte lies, the others being zero; out of how many. The wider ones come
# first: what is text in them is none in the others.
WIDE = {"utf-32-le": (0, 4), "utf-32-be": (3, 4), "utf-16-le": (0, 2), "utf-16-be": (1, 2)}
CONTROL = dict.fromkeys(set(range(32)) - set(b"\t\n\v\f\r\x1b"))
MOST_CONTROL = 0.02  # of the first characters; text has none, or a stray one


def encoding_of(head: bytes, told: str = "", shown: str = "the text") -> str:
    """The encoding of text that begins with `head`: as told, else as its mark or zero bytes say, else UTF-8.

    Where UTF-16 or UTF-32 is told, these still say which: a mark is no part of the text. shown: what messages
    call it.
    Raises Unreadable for an encoding that there is not, and for one of those two that the text is not in.

    >>> encoding_of("é,b".encode("utf-16")), encoding_of("é,b,c".encode("utf-32-be"))
    ('utf-16', 'utf-32-be')
    >>> encoding_of(b"a,b"), encoding_of(b"a,b", "latin-1")
    ('utf-8', 'latin-1')
    """
    marked = next((encoding for mark, encoding in MARKS if head.startswith(mark)), "")
    seen = marked or _wide(head)
    if not told:
        return seen or "utf-8"
    if not codec_of(told).startswith(("utf-16", "utf-32")):
        return told
    if not seen:
        raise Unreadable(f"{shown}: not {told}; leave --encoding out, or say another one")
    return seen


def codec_of(encoding: str) -> str:
    """The one name of an encoding that has several. Raises Unreadable."""
    try:
        b"a".decode(encoding, "replace")  # some codecs make no text
        return codecs.lookup(encoding).name
    except (LookupError, UnicodeError, ValueError):
        raise Unreadable(f"no encoding {encoding!r}; try utf-8, latin-1 or utf-16") from None


def is_written(text: str) -> bool:
    """Whether it is what people or programs write: hardly any control characters."""
    return len(text) - len(text.translate(CONTROL)) <= MOST_CONTROL * len(text)


def _wide(head: bytes) -> str:
    """Which wide encoding this is text in, without a mark; else ""."""
    if b"\0" not in head:
        return ""
    found = next((encoding for encoding in WIDE if _is_text(head, encoding)), "")
    return found or next((encoding for encoding in WIDE if _is_mostly_ascii(head, encoding)), "")


def _is_text(head: bytes, encoding: str) -> bool:
    """Whether it has lines in this encoding, and hardly anything that is not written."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return "\n" in text and "\0" not in text and is_written(text)


def _is_mostly_ascii(head: bytes, encoding: str) -> bool:
    """By where the zero bytes lie: for a single line, or text with something wrong in it."""
    own, width = WIDE[encoding]
    places = [head[place : len(head) // width * width : width] for place in range(width)]
    zeros = [place.count(0) / max(len(place), 1) for place in places]
    return zeros.pop(own) < 0.02 and min(zeros) > 0.5
