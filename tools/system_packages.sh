#!/bin/sh
# What the C++ checker is built with: installs the missing packages where this user may, names them where not.
missing=""
for tool in c++:g++ cmake:cmake make:make; do
    command -v "${tool%:*}" >/dev/null 2>&1 || missing="$missing ${tool#*:}"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >/dev/null && exit 0
fi
echo "the C++ checker needs packages that are not installed; on Debian or Ubuntu: apt-get install$missing" >&2
exit 0
