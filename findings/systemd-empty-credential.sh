#!/usr/bin/env bash
# systemd 252.39-1~deb12u2, `SetCredential=NAME:` with nothing behind the colon: the line is ignored with a warning, so a
# `LoadCredential=` of a file that is not there keeps the unit from starting although a default seems to be given. A default of one
# line break, `SetCredential=NAME:\n`, is taken.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
version=252.39-1~deb12u2
apt-get -o APT::Sandbox::User=root download -qq "systemd=$version" "libsystemd-shared=$version" >/dev/null
for package in *.deb; do dpkg -x "$package" root; done
libraries=$(dirname "$(find root -name 'libsystemd-shared-*.so' | head -n 1)")
verify() {
    printf '[Service]\nExecStart=/bin/true\nSetCredential=%s\n' "$1" >example.service
    LD_LIBRARY_PATH="$PWD/$libraries" root/usr/bin/systemd-analyze verify ./example.service 2>&1 | grep -o 'Invalid syntax' || echo taken
}
empty=$(verify 'token:')
line_break=$(verify 'token:\n')
printf 'token: %s\ntoken and a line break: %s\n' "$empty" "$line_break"
# Seen: token: Invalid syntax; token and a line break: taken
[ "$empty" = "Invalid syntax" ] && [ "$line_break" = "taken" ]
