#!/bin/sh
# Makes every key that compose.yaml names, once: an existing ./secrets is left as it is.
set -eu
cd "$(dirname "$0")"
# Closed to other users of this machine by the folder; the files are open, since the containers run
# as a user that this machine does not know.
mkdir -m 0700 secrets
trap 'rm -r secrets' EXIT
umask 022

for user in coordinator worker producer sys; do
    # Two lines: the seed, which its user keeps, and the public key, which the server knows it by.
    pair="$(docker run --rm --entrypoint nk natsio/nats-box -gen user -pubout)"
    echo "$pair" | sed -n 1p > "secrets/$user.nk"
    name="$(echo "$user" | tr '[:lower:]' '[:upper:]')"
    echo "NATS_${name}_NKEY=$(echo "$pair" | sed -n 2p)" >> secrets/nats.env
done

# The coordinator keeps its key on its volume; this is the key that admits workers.
docker compose run --rm --no-deps -T coordinator coordinator key > secrets/worker.key
trap - EXIT
