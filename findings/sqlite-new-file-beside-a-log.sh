#!/usr/bin/env bash
# SQLite 3.46.1 (apsw 3.46.1.0), write-ahead log: the file is moved away while a writer holds it open. A connection that may
# create files then makes a new, empty one under the old name, takes the `-wal` beside it for a leftover, and deletes it: what the
# writer had committed to that log is gone, also after the file is moved back. A connection that may not create is refused, and
# nothing is lost. So every connection after the first is opened without the right to create (`mode=rw`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check apsw==3.46.1.0
cat >writer.py <<'PYTHON'
import sys
import apsw

writer = apsw.Connection("data.db")
writer.execute("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; CREATE TABLE kept (id)").fetchall()
writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
writer.execute("INSERT INTO kept VALUES (1)")
print("committed", flush=True)
sys.stdin.read()
PYTHON
cat >second.py <<'PYTHON'
import os
import subprocess
import sys
import apsw

flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if sys.argv[1] == "rwc" else 0)
writer = subprocess.Popen([sys.executable, "writer.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
writer.stdout.readline()
os.rename("data.db", "moved.db")
try:
    second = apsw.Connection("data.db", flags=flags)
    second.execute("SELECT COUNT(*) FROM sqlite_master").fetchall()
    second.close()
    told = "opened"
except apsw.CantOpenError:
    told = "refused"
writer.kill()
writer.wait()
os.rename("moved.db", "data.db")
kept = apsw.Connection("data.db").execute("SELECT COUNT(*) FROM kept").fetchall()[0][0]
print(f"{told}, rows kept: {kept}")
PYTHON
run() { rm -f data.db* moved.db*; venv/bin/python second.py "$1"; }
may_create=$(run rwc)
may_not=$(run rw)
printf 'may create: %s\nmay not: %s\n' "$may_create" "$may_not"
# Seen: may create: opened, rows kept: 0; may not: refused, rows kept: 1
[ "$may_create" = "opened, rows kept: 0" ] && [ "$may_not" = "refused, rows kept: 1" ]
