#!/usr/bin/env bash
# The whole path on real models: two ONNX files become static libraries, a small C++ program links them and reads a
# picture, then both are timed against onnxruntime. Usage: demo/run.sh [--budget 60s] [--picture FILE.png]
# A model that has been tuned here before is tuned on only if --budget says for how long.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
root=$(dirname "$here")
cli=$root/.venv/bin/opencompiler
python=$root/.venv/bin/python
models=$root/.cache/models
out=$root/out/demo
budget=
picture=$here/page.png

while [ $# -gt 0 ]; do
  case $1 in
    --budget) budget=$2; shift 2 ;;
    --picture) picture=$2; shift 2 ;;
    *) echo "demo: takes --budget TIME (tuning, a model) and --picture FILE.png, not '$1'" >&2; exit 2 ;;
  esac
done

mkdir -p "$out"
declare -A shape=([det]=x=1x3x640x640 [rec]=x=1x3x48x640)

# Whether the demo's database holds a schedule of this machine for a kernel of the model.
tuned() {
  "$cli" explain "$models/$1.onnx" --shape "${shape[$1]}" --threads 1 --db "$out/tuning.db" --format json 2>/dev/null |
    grep '"rung": "exact"' >/dev/null
}

echo "== tuning on this machine, one thread"
for model in det rec; do
  if [ -z "$budget" ] && tuned $model; then
    echo "$model has been tuned before; --budget 60s goes on"
    continue
  fi
  echo "$model, ${budget:-60s}"
  "$cli" tune "$models/$model.onnx" --shape "${shape[$model]}" --threads 1 --time "${budget:-60s}" --db "$out/tuning.db" \
    >"$out/$model.tune.log" 2>&1 || { cat "$out/$model.tune.log" >&2; exit 1; }
  tail -n 1 "$out/$model.tune.log"
done

echo "== compiling to static libraries"
for model in det rec; do
  "$cli" compile "$models/$model.onnx" -o "$out" --name $model --shape "${shape[$model]}" --threads 1 \
    --db "$out/tuning.db" --emit static,header
done

echo "== linking ocr"
c++ -std=c++20 -O2 -I"$out" "$here/ocr.cpp" "$out/libdet.a" "$out/librec.a" -lpng -lm -lpthread -o "$out/ocr"

echo "== the text of $picture"
"$out/ocr" "$picture"

echo "== time, one thread, interleaved; onnxruntime's and untuned time as multiples of tuned"
for model in det rec; do
  "$python" "$root/benchmarks/compare.py" "$models/$model.onnx" --shape "${shape[$model]}" --threads 1 --time 10 \
    --db "$out/tuning.db" --untuned --against onnxruntime
done
