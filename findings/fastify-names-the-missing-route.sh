#!/usr/bin/env bash
# Fastify 5.12.8: a path that no route serves is answered with JSON of the same shape as an application's own "not found", and the text
# holds the whole path. A service that has lost its routes for a moment (a deploy, a plugin that failed) thus says of
# `/api/v2/customers/1` words that name `customers` and `not found`. A client that reads such a text as "customer 1 is gone" deletes or
# doubles it. Here a path in the text means that nothing is known of the record (`src/clients/refusal.rs`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund fastify@5.12.8
cat >ask.js <<'JAVASCRIPT'
const app = require("fastify")();
app.get("/health", () => "ok");
app.inject({ method: "GET", url: "/api/v2/customers/1" }).then((answer) => {
  console.log(answer.statusCode, answer.headers["content-type"], answer.body);
});
JAVASCRIPT
told=$(node ask.js)
echo "$told"
# Seen: 404 application/json; charset=utf-8 {"message":"Route GET:/api/v2/customers/1 not found","error":"Not Found","statusCode":404}
[[ "$told" == '404 application/json'* && "$told" == *'"message":"Route GET:/api/v2/customers/1 not found"'* ]]
