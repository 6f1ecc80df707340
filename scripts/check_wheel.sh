#!/usr/bin/env bash
# A wheel alone, installed into an empty environment and used in an empty folder: explain, a study from YAML, a report.
#
#   bash scripts/check_wheel.sh dist/audioxai-*.whl
set -euo pipefail
wheel=$(realpath "$1")
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unset PYTHONPATH
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$wheel"
"$folder/venv/bin/pip" check
mkdir "$folder/empty"
cd "$folder/empty"
PATH="$folder/venv/bin:$PATH"
audioxai --version
audioxai example
audioxai explain example/clip.wav --model example/model.safetensors --out page
test -s page/index.html
audioxai run example/study.yaml
audioxai report --results example/results --output report.html
test -s report.html
echo "the wheel works on $(python --version)"
