"""What a compiled library does when the system refuses it something."""

import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLI = ROOT / ".venv/bin/opencompiler"
CLS = ROOT / ".cache/models/cls.onnx"

# posix_memalign of the program itself stands before libc's; after `left` calls it has no more memory.
MAIN = """
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cls.h"
static float x[CLS_X_ELEMENTS], first[2], second[2];
static int left = 1 << 30;
int posix_memalign(void** out, size_t alignment, size_t bytes) {
  if (left-- <= 0) return ENOMEM;
  *out = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  return *out ? 0 : ENOMEM;
}
int main(void) {
  int starved = 0;
  for (size_t i = 0; i < sizeof x / sizeof *x; ++i) x[i] = (float)(i % 17) / 17;
  cls* good = 0;
  if (cls_create(&good, 0) || cls_run(good, x, first)) return 2;
  cls_destroy(good);
  for (int budget = 0; budget < 40; ++budget) {
    cls* model = 0;
    left = budget;
    const int created = cls_create(&model, 0);
    const int status = created ? created : cls_run(model, x, second);
    if (status && strcmp(cls_error_string(status), "out of memory")) return 3;
    starved += !created && status;
    left = 1 << 30; /* memory is back: the same instance works */
    if (!created && (cls_run(model, x, second) || memcmp(first, second, sizeof first))) return 4;
    cls_destroy(model);
  }
  printf("%d", starved);
  return 0;
}
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_out_of_memory_in_a_kernel_is_an_error_code(tmp_path, threads):
    compiled = [CLI, "compile", CLS, "-o", tmp_path, "--name", "cls"]
    options = ["--shape", "x=1x3x48x192", "--threads", str(threads)]
    subprocess.run([*compiled, *options], check=True, capture_output=True)
    (tmp_path / "main.c").write_text(MAIN)
    link = ["main.c", "libcls.a", "-lm", "-lpthread", "-o", "main"]
    subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", *link], check=True, cwd=tmp_path)
    done = subprocess.run(
        ["./main"], check=False, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert int(done.stdout) > 0, "no run was short of memory: the test tests nothing"
