#!/bin/sh
# fetch_packages.sh FOLDER SUITE PACKAGE...
# Unpacks Debian packages into FOLDER, without root and without installing them.
#
# SUITE "own" takes them from the releases that this machine's apt is set up for. Any other name (trixie) takes them
# from that release of the same mirror, for what an older release lacks, such as ONNX Runtime's headers.
# Signatures are checked as always, and nothing of the system's apt is changed: the lists are in a temporary folder.
set -eu
folder=$1 suite=$2 sources=""
shift 2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/sources" "$work/packages" "$folder"

apt() {
    # shellcheck disable=SC2086
    apt-get -qq $sources -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" \
        -o APT::Sandbox::User= -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 "$@"
}

if [ "$suite" != own ]; then
    # The first source with a plain release of the main archive, in either of apt's formats, under the suite's name.
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -f "$file" ] && awk -v suite="$suite" 'BEGIN { RS = ""; FS = "\n" }
            /(^|\n)Types:[^\n]*deb/ && /\nComponents:[^\n]*main/ && !/security/ {
                for (i = 1; i <= NF; i++) {
                    if ($i ~ /^Types:/) $i = "Types: deb"
                    if ($i ~ /^Suites:/) $i = "Suites: " suite
                    if ($i ~ /^Components:/) $i = "Components: main"
                    print $i
                }
                exit
            }' "$file" >"$work/sources/suite.sources"
        [ -s "$work/sources/suite.sources" ] && break
    done
    if [ ! -s "$work/sources/suite.sources" ]; then
        rm -f "$work/sources/suite.sources"
        cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
            sed -n "/security/d; s|^deb \(\[[^]]*\] \)*\([^ ]*\) [^ /]* .*\<main\>.*|deb \1\2 $suite main|p" |
            head -n 1 >"$work/sources/suite.list"
    fi
    sources="-o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=$work/sources"
fi

apt update
(cd "$work/packages" && apt download "$@")
for package in "$work"/packages/*.deb; do
    dpkg -x "$package" "$folder"
done
