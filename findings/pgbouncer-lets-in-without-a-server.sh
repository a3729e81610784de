#!/usr/bin/env bash
# PgBouncer 1.18.0-1+deb12u1 (Debian 12), pool_mode = session: once it has reached its server, it lets every client in at once, also while no
# server connection is free. The login ends with ReadyForQuery, as by PostgreSQL itself; the client's first statement then waits, for
# `query_wait_timeout` (120 s). PostgreSQL refuses a login that it has no connection for (53300).
# So the time limit of a connection pool for connecting does not notice a pooler with too few connections: the limit of each
# statement has to, the first one as well.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; sleep 1; rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"
apt-get -o APT::Sandbox::User=root download -qq postgresql-15=15.20-0+deb12u1 pgbouncer=1.18.0-1+deb12u1 \
    libpq5 libevent-2.1-7 libc-ares2 libicu72 libxml2 >/dev/null
for package in *.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH="$folder/root/usr/lib/x86_64-linux-gnu"
postgres="$folder/root/usr/lib/postgresql/15/bin"
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# Neither runs as root.
as() { if [ "$(id -u)" = 0 ]; then setpriv --reuid nobody --regid nogroup --clear-groups "$@"; else "$@"; fi; }
mkdir data && chmod 700 data && { [ "$(id -u)" != 0 ] || chown nobody data; }
as "$postgres/initdb" --pgdata data --auth trust --username postgres --no-sync >/dev/null
server=$(free)
as "$postgres/postgres" -D data -p "$server" -h 127.0.0.1 -k '' 2>server.log &
pooler=$(free)
cat >pgbouncer.ini <<INI
[databases]
postgres = host=127.0.0.1 port=$server user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $pooler
unix_socket_dir =
auth_type = any
pool_mode = session
default_pool_size = 1
INI
as root/usr/sbin/pgbouncer pgbouncer.ini 2>pooler.log &
cat >clients.py <<'PYTHON'
import socket
import struct
import sys
import time


def connect(port):
    while True:
        try:
            client = socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            time.sleep(0.1)
            continue
        words = b"user\0postgres\0database\0postgres\0\0"
        client.sendall(struct.pack("!ii", len(words) + 8, 196608) + words)
        try:
            if until_ready(client):
                return client
        except ConnectionError:
            pass
        time.sleep(0.1)


def exactly(client, length):
    data = b""
    while len(data) < length:
        part = client.recv(length - len(data))
        if not part:
            raise ConnectionError
        data += part
    return data


def until_ready(client):
    """Is it ready for a query?"""
    while True:
        kind, length = struct.unpack("!ci", exactly(client, 5))
        exactly(client, length - 4)
        if kind == b"Z":
            return True
        if kind == b"E":
            return False


def select(client):
    client.sendall(b"Q" + struct.pack("!i", 13) + b"SELECT 1\0")
    client.settimeout(3)
    try:
        return until_ready(client)
    except TimeoutError:
        return False


first = connect(int(sys.argv[1]))
print("first: let in, answered:", select(first))
second = connect(int(sys.argv[1]))
print("second: let in, answered within 3 s:", select(second))
PYTHON
told=$(timeout 60 python3 clients.py "$pooler")
echo "$told"
# Seen: first: let in, answered: True; second: let in, answered within 3 s: False
[ "$told" = $'first: let in, answered: True\nsecond: let in, answered within 3 s: False' ]
