#!/usr/bin/env bash
# Builds stand-ins for the two base images of docker-compose.yaml from Debian's packages, where no registry of images
# is reached: stand_in_images.sh PYTHON_IMAGE POSTGRES_IMAGE, the names to give to them.
# They are not the official images: PostgreSQL is Debian's 15, Python lies in /usr. The machine's own certificate
# authorities go in, so that a build behind a company's proxy reaches the package index.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
python_image=${1:?usage: stand_in_images.sh PYTHON_IMAGE POSTGRES_IMAGE}
postgres_image=${2:?usage: stand_in_images.sh PYTHON_IMAGE POSTGRES_IMAGE}
bare_image=eventlake-stand-in-debian:bookworm
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# in a session of its own: when it fails, it signals its whole process group
setsid -w mmdebstrap --quiet --variant=minbase --mode=root --format=tar --include=ca-certificates \
  --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Check-Valid-Until "false"' \
  --customize-hook='mkdir -p "$1"/usr/local/share/ca-certificates' \
  --customize-hook='for one in /usr/local/share/ca-certificates/*.crt; do [ ! -e "$one" ] || cp -L "$one" "$1"/usr/local/share/ca-certificates/; done' \
  --customize-hook='chroot "$1" update-ca-certificates >/dev/null' \
  bookworm "$work/root.tar" /etc/apt/sources.list.d/debian.sources
docker import \
  --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
  --change 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' \
  --change 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt' \
  --change 'ENV REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt' \
  --change 'CMD ["bash"]' "$work/root.tar" "$bare_image"

docker build --quiet -t "$python_image" - <<D
FROM $bare_image
ENV LANG=C.UTF-8
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv python3-pip \\
 && rm -rf /var/lib/apt/lists/* && ln -s /usr/bin/python3 /usr/local/bin/python
CMD ["python3"]
D
docker build --quiet -t "$postgres_image" -f - . <<D
FROM $bare_image
ENV LANG=C.UTF-8 PGDATA=/var/lib/postgresql/data PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN mkdir -p /etc/postgresql-common && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf \\
 && groupadd -r -g 999 postgres && useradd -r -g postgres -u 999 -d /var/lib/postgresql -s /bin/bash postgres \\
 && apt-get update && apt-get install -y --no-install-recommends postgresql-15 && rm -rf /var/lib/apt/lists/* \\
 && install -d -o postgres -g postgres -m 3777 "\$PGDATA" /var/run/postgresql
COPY postgres_entrypoint.sh /usr/local/bin/docker-entrypoint.sh
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
D
