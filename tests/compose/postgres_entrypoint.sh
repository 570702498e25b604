#!/usr/bin/env bash
# What docker-compose.yaml leans on of the official PostgreSQL image's entrypoint: a cluster made at the first start,
# with POSTGRES_USER, POSTGRES_DB and the password of POSTGRES_PASSWORD_FILE, by the user that the service runs as.
set -euo pipefail
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth-local=trust --auth-host=scram-sha-256
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  # on a socket only, as the official one does: a health check that asks over TCP hears nothing until all is made
  pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start
  psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" -d postgres -c "create database \"$POSTGRES_DB\""
  pg_ctl -D "$PGDATA" -m fast -w stop
fi
exec "$@" -c listen_addresses='*'
