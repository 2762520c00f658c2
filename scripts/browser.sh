#!/bin/sh
# The page's tests drive Debian's chromium; this installs it where we may, and says so where we may not.
set -eu
[ -x /usr/bin/chromium ] && [ -x /usr/bin/chromedriver ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing chromium for the page's tests"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver fonts-dejavu-core >/dev/null
else
    echo "chromium is not installed: the page's tests will be skipped (apt-get install chromium chromium-driver)"
fi
