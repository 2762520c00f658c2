#!/bin/sh
# Install what a lock names into .venv and say how far it is. pip's own words are hundreds of lines: they go to
# .venv/install.log, and are shown when it fails.
# usage: scripts/install.sh LOCK WHAT
set -eu
lock=$1 what=$2 log=.venv/install.log ended=.venv/install.ended
total=$(grep -c '^[A-Za-z0-9].*==' "$lock")
echo "installing $what into .venv: $total packages, a minute or two and the time of the download"
rm -f "$ended"
(
    status=0
    .venv/bin/python -m pip --disable-pip-version-check install --progress-bar off \
        --require-hashes -r "$lock" >"$log" 2>&1 || status=$?
    echo "$status" >"$ended"
) &
waited=0
while [ ! -s "$ended" ]; do
    sleep 1
    waited=$((waited + 1))
    there=$(grep -c -E '^(Collecting|Requirement already)' "$log" || true)
    step="$there of $total packages found"
    if grep -q '^Installing collected' "$log"; then step="unpacking $total packages"; fi
    if [ -t 1 ]; then
        printf '\r\033[K  %s (%s s)' "$step" "$waited"
    elif [ $((waited % 15)) -eq 0 ]; then
        echo "  $step ($waited s)"
    fi
done
if [ -t 1 ]; then printf '\r\033[K'; fi
wait
if [ "$(cat "$ended")" != 0 ]; then
    tail -n 25 "$log"
    echo "installing failed: pip's last words are above, all of them in $log"
    exit 1
fi
