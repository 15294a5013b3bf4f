#!/usr/bin/env bash
# Everything that takes a GPU, in parts; one JSON object on stdout and in gpu/results.json, with the
# parts measured before.
#
#   benchmarks/gpu.sh CIFAR10_FOLDER [PART …] [--minutes 60]
#
# CIFAR10_FOLDER holds train/CLASS/… and test/CLASS/…. Parts: matching experts several settings
# ipc1 ipc10 (default: all), the last two for so many minutes each. Experts and runs are kept in gpu/,
# so that parts can be run one at a time, and again after an interruption. PYTHON names the
# interpreter that has datm's dependencies.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder="${1:?usage: benchmarks/gpu.sh CIFAR10_FOLDER [PART …]}"
shift
exec "${PYTHON:-python}" -m benchmarks.gpu "$folder" "$@"
