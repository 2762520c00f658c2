"""Line drawings on a grid of 24 × 24, one per department of the made-up shop, some for data sets we know."""
# ruff: noqa: E501  # a drawing is one string

ICONS: dict[str, str] = {
    "Cycling": "M6 12a4 4 0 1 0 .01 0M18 12a4 4 0 1 0 .01 0M6 16l4-8h6l2 8M10 8l4 8M9 6h3M16 8l-1-3h3",
    "Coffee": "M4 9h13v6a5 5 0 0 1-5 5H9a5 5 0 0 1-5-5zM17 10h2a2 2 0 0 1 0 5h-2M8 3c-1 1 1 2 0 3M13 3c-1 1 1 2 0 3",
    "Garden": "M12 21v-9M12 12C12 7 8 5 4 5c0 5 3 7 8 7M12 14c0-4 3-7 8-7 0 5-3 8-8 7M8 21h8",
    "Gaming": "M7 8h10a5 5 0 0 1 4 7c-1 3-4 3-5 1l-1-1H9l-1 1c-1 2-4 2-5-1a5 5 0 0 1 4-7M8 10v4M6 12h4M16 11h.01M18 13h.01",
    "Baby": "M8 7h8v11a3 3 0 0 1-3 3h-2a3 3 0 0 1-3-3zM9 7V5h6v2M10 5c0-3 4-3 4 0M8 12h3M8 15h3",
    "Kitchen": "M4 11h13v3a6 6 0 0 1-6 6h-1a6 6 0 0 1-6-6zM17 12h4M8 8c-1-1 1-2 0-4M12 8c-1-1 1-2 0-4",
    "Outdoor": "M3 20 12 5l9 15zM12 5v15M9 20l3-6 3 6M17 6a2 2 0 1 0 .01 0",
    "Fitness": "M3 10v4M6 7v10M18 7v10M21 10v4M6 12h12",
    "Books": "M12 6c-2-2-5-2-8-2v14c3 0 6 0 8 2 2-2 5-2 8-2V4c-3 0-6 0-8 2zM12 6v14",
    "Music": "M9 18V5l11-2v13M9 18a3 3 0 1 1-3-3c2 0 3 1 3 3M20 16a3 3 0 1 1-3-3c2 0 3 1 3 3",
    "Photography": "M4 8h4l2-3h4l2 3h4v11H4zM12 10a3.5 3.5 0 1 0 .01 0",
    "Pets": "M12 13c-3 0-5 3-5 5 0 3 3 2 5 2s5 1 5-2c0-2-2-5-5-5M6 9a1.500 2 0 1 0 .01 0M10 5a1.500 2 0 1 0 .01 0M14 5a1.500 2 0 1 0 .01 0M18 9a1.500 2 0 1 0 .01 0",
    "Home office": "M3 5h18v11H3zM9 20h6M12 16v4M7 9h5M7 12h8",
    "Care": "M12 3c4 5 6 7 6 11a6 6 0 0 1-12 0c0-4 2-6 6-11M9 14a3 3 0 0 0 3 3",
    "Arts & crafts": "M12 3a9 9 0 1 0 0 18c2 0 2-1 1-2-1-2 0-3 2-3h3c2 0 3-2 3-4a9 9 0 0 0-9-9M8 9h.01M12 7h.01M16 9h.01M7 13h.01",
}  # fmt: skip

FILM = "M3 5h18v14H3zM7 5v14M17 5v14M3 9h4M3 12h4M3 15h4M17 9h4M17 12h4M17 15h4"
FILM_GENRES = frozenset(
    [
        "Action",
        "Adventure",
        "Animation",
        "Children",
        "Children's",
        "Comedy",
        "Crime",
        "Documentary",
        "Drama",
        "Fantasy",
        "Film-Noir",
        "Horror",
        "IMAX",
        "Musical",
        "Mystery",
        "Romance",
        "Sci-Fi",
        "Thriller",
        "War",
        "Western",
    ]
)

# Words in the categories of other shops, and the drawing that fits.
WORDS: dict[str, str] = {
    "phone": "M8 3h8v18H8zM11 18h2",
    "electronics": "M3 5h18v11H3zM9 20h6M12 16v4",
    "computers": "M4 5h16v10H4zM2 19h20",
    "appliances": "M6 3h12v18H6zM12 10a4 4 0 1 0 .01 0M9 6h.01M12 6h.01",
    "furniture": "M5 11V7a2 2 0 0 1 2-2h10a2 2 0 0 1 2 2v4M3 11h3v4h12v-4h3v7H3zM5 18v2M19 18v2",
    "apparel": "M8 4 3 7l2 4 2-1v10h10V10l2 1 2-4-5-3c-1 3-7 3-8 0",
    "auto": "M4 15v-3l2-5h12l2 5v3M2 15h20M7 15a2 2 0 1 0 .01 0M17 15a2 2 0 1 0 .01 0",
    "sport": "M12 4a8 8 0 1 0 .01 0M4 12h16M12 4c4 5 4 11 0 16M12 4c-4 5-4 11 0 16",
}

# For a category that nothing above fits: figures, chosen by its name.
FIGURES: tuple[str, ...] = (
    "M12 3l9 5v8l-9 5-9-5V8zM3 8l9 5 9-5M12 13v8",
    "M12 3l3 6 6 1-4.500 4.500 1 6.500-5.500-3-5.500 3 1-6.500L3 10l6-1z",
    "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
    "M12 3a9 9 0 1 0 .01 0M12 7a5 5 0 1 0 .01 0M12 11a1 1 0 1 0 .01 0",
    "M3 17c3-8 6-8 9 0s6 8 9 0M3 9c3-8 6-8 9 0s6 8 9 0",
    "M5 20V10l7-6 7 6v10zM10 20v-6h4v6",
)


def icon_of(category: str) -> str:
    """The drawing of a category: its own, one by a word in it, or a figure by its name."""
    if category in ICONS:
        return ICONS[category]
    if category in FILM_GENRES:
        return FILM
    low = category.lower()
    for word, drawing in WORDS.items():
        if word in low:
            return drawing
    return FIGURES[sum(category.encode()) % len(FIGURES)]
