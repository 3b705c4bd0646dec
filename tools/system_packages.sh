#!/bin/sh
# What the C++ checker is built with: installs the missing packages where this user may, names them where not.
missing=""
have() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
header() { echo "#include <$1>" | c++ -E -x c++ - >/dev/null 2>&1 || missing="$missing $2"; }

have c++ g++
have cmake cmake
have make make
have protoc protobuf-compiler
header lmdb.h liblmdb-dev
header google/protobuf/message.h libprotobuf-dev
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >/dev/null && exit 0
fi
echo "the C++ checker needs packages that are not installed; on Debian or Ubuntu: apt-get install$missing" >&2
exit 0
