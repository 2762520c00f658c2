"""One request's way to its slate: cache, candidates, scores, rules, fallbacks (flows 1, 2 and 12)."""
