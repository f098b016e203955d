"""How long compiling and opening take. Excluded unless asked for with -m perf: other work on the machine disturbs."""

import statistics
import time

import pytest
from harness import CLI, MODELS, run

pytestmark = pytest.mark.perf
MODEL = MODELS / "efficientnet_lite0.onnx"
OPEN = """
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <stdio.h>
#include <time.h>
#include "m.h"
static float x[M_INPUT_ELEMENTS], y[M_OUTPUT_ELEMENTS];
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}
int main(void) {
  const double start = now();
  void* library = dlopen("./libm_model.so", RTLD_NOW);
  if (!library) return puts(dlerror()), 1;
  int (*create)(m**, const m_options*);
  int (*run)(m*, const void* const*, void* const*);
  *(void**)&create = dlsym(library, "m_create");
  *(void**)&run = dlsym(library, "m_run_arrays");
  m* instance = 0;
  const m_options options = {.size = sizeof options, .num_threads = 1};
  if (!create || !run || create(&instance, &options)) return 2;
  const double ready = now();
  const void* inputs[] = {x};
  void* outputs[] = {y};
  if (run(instance, inputs, outputs)) return 3;
  printf("%.3f %.3f\\n", ready - start, now() - ready);
  return 0;
}
"""


def seconds(*command, **options):
    started = time.monotonic()
    run(*command, **options)
    return time.monotonic() - started


def test_compiling_takes_seconds_and_again_less_than_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OPENCOMPILER_CACHE", str(tmp_path / "cache"))
    command = (CLI, "compile", MODEL, "-o", tmp_path / "out", "--threads", "1")
    cold = seconds(*command)
    warm = min(seconds(*command) for _ in range(3))
    with capsys.disabled():
        print(f"\ncompile {MODEL.name}: cold {cold:.2f} s, warm {warm:.2f} s")
    assert cold <= 15
    assert warm <= 1


def test_a_library_is_ready_in_milliseconds(tmp_path, capsys):
    run(CLI, "compile", MODEL, "-o", tmp_path, "--name", "m", "--threads", "1")
    (tmp_path / "libm.so").rename(tmp_path / "libm_model.so")
    (tmp_path / "open.c").write_text(OPEN)
    run("cc", "-std=c99", "-O1", "open.c", "-ldl", "-o", "open", cwd=tmp_path)
    figures = [run("./open", cwd=tmp_path).split() for _ in range(9)]
    ready, first = (
        statistics.median(map(float, c)) for c in zip(*figures, strict=True)
    )
    with capsys.disabled():
        print(f"\n{MODEL.name}: ready in {ready:.2f} ms, first run {first:.2f} ms")
    assert ready <= 50
