#!/usr/bin/env bash
# Puts the compose and buildx plugins of docker into a folder, from Debian's packages: compose_plugin.sh FOLDER
# For a Debian whose own release has neither. The packages are the next release's, taken from the machine's own mirror
# and checked by apt, in a package tree of their own: the machine's sources and packages stay as they are.
set -euo pipefail
plugins=${1:?usage: compose_plugin.sh FOLDER}
release=trixie
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{lists/partial,cache/archives/partial,unpacked} "$plugins"
mirror=$(awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/debian.sources)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" >"$tree/sources.list"
apt() {
  apt-get -qq -o Dir::Etc::SourceList="$tree/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$tree/lists" -o Dir::Cache="$tree/cache" -o APT::Sandbox::User=root "$@"
}
apt update
(cd "$tree" && apt download docker-compose docker-buildx)
for package in "$tree"/*.deb; do dpkg-deb -x "$package" "$tree/unpacked"; done
find "$tree/unpacked" -type f \( -name docker-compose -o -name docker-buildx \) -perm -u+x -exec cp {} "$plugins/" \;
ls "$plugins"
