"""The bar: what a release must reach and what it should, by data set, protocol and figure."""

MUST: dict[tuple[str, str], tuple[float, float]] = {
    ("ncf-ml-1m", "LOO99"): (0.770, 0.560),
    ("ncf-ml-1m", "LOO-full"): (0.250, 0.140),
    ("online-retail", "LOG28-new"): (0.124, 0.125),
    ("online-retail", "LOG28-repeat"): (0.280, 0.355),
    ("yoochoose-100k", "SESS"): (0.40, 0.180),
}
SHOULD: dict[tuple[str, str], tuple[float, float]] = {
    ("ncf-ml-1m", "LOO99"): (0.820, 0.615),
    ("ncf-ml-1m", "LOO-full"): (0.289, 0.163),
    ("online-retail", "LOG28-new"): (0.142, 0.151),
    ("online-retail", "LOG28-repeat"): (0.288, 0.366),
    ("yoochoose-100k", "SESS"): (0.433, 0.184),
}
"""In the order of a trial's headline. Data sets without a line are only compared with the baselines."""
