#!/usr/bin/env bash
# Caddy 2.6.2-5 (Debian 12), reverse_proxy: a client that ends its own side of the connection after the request, and waits for the
# answer, is answered 200 with nothing in it, while the upstream is still at work and later answers 503. Go's server takes the end of
# the client's side for the end of the client, reverse_proxy gives up, and what was never answered goes out as 200.
# So a sender of webhooks must not half-close; HTTP clients as a rule do not.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
apt-get -o APT::Sandbox::User=root download -qq caddy=2.6.2-5 >/dev/null
dpkg -x caddy_*.deb root
cat >upstream.py <<'PYTHON'
import http.server
import time


class Busy(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        time.sleep(1)
        self.send_response(503)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Busy)
print(server.server_address[1], flush=True)
server.serve_forever()
PYTHON
cat >client.py <<'PYTHON'
import socket
import sys
import time

while True:
    try:
        caller = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        break
    except ConnectionRefusedError:
        time.sleep(0.1)
caller.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}")
if sys.argv[2] == "half-closed":
    caller.shutdown(socket.SHUT_WR)
print(caller.recv(4096).split(b" ")[1].decode())
PYTHON
python3 upstream.py >port &
while [ ! -s port ]; do sleep 0.1; done
free=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf '{\n\tadmin off\n}\nhttp://127.0.0.1:%s {\n\treverse_proxy 127.0.0.1:%s\n}\n' "$free" "$(cat port)" >Caddyfile
HOME="$folder" root/usr/bin/caddy run --adapter caddyfile --config Caddyfile 2>caddy.log &
open=$(python3 client.py "$free" open)
half_closed=$(python3 client.py "$free" half-closed)
printf 'open: %s\nhalf-closed: %s\n' "$open" "$half_closed"
# Seen: open: 503; half-closed: 200
[ "$open" = 503 ] && [ "$half_closed" = 200 ]
