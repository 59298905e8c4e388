#!/usr/bin/env bash
# Makes a rented machine with a GPU a runner for one job, with the labels that matrix.yml asks for, and then switches it
# off. Give it to the provider as start-up script ("user data") of an image that has the GPU's driver, and set above this
# line: REPOSITORY (https://github.com/OWNER/NAME), RUNNER_VERSION and RUNNER_SHA256 (github.com/actions/runner, releases)
# and RUNNER_TOKEN: gh api -X POST repos/OWNER/NAME/actions/runners/registration-token gives one for an hour.
set -euo pipefail
: "${REPOSITORY:?}" "${RUNNER_TOKEN:?}" "${RUNNER_SHA256:?}"
version=${RUNNER_VERSION:?}
labels=${LABELS:-gpu}
hours=${HOURS:-3}

# Whatever happens, the machine does not outlive this: a forgotten GPU is paid by the hour.
shutdown -h "+$((hours * 60))"
trap 'shutdown -h now' EXIT

nvidia-smi --list-gpus
useradd --create-home runner
cd /home/runner
archive="actions-runner-linux-x64-$version.tar.gz"
curl --fail --silent --show-error --location --output "$archive" \
  "https://github.com/actions/runner/releases/download/v$version/$archive"
echo "$RUNNER_SHA256  $archive" | sha256sum --check
tar --extract --gzip --file "$archive"
./bin/installdependencies.sh
chown -R runner: .

# --ephemeral: the runner takes one job and is gone. It runs as a user who may not switch the machine off or read this.
runuser -u runner -- ./config.sh --unattended --ephemeral --url "$REPOSITORY" --token "$RUNNER_TOKEN" --labels "$labels"
unset RUNNER_TOKEN
runuser -u runner -- timeout "${hours}h" ./run.sh
