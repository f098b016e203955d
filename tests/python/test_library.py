"""What `compile` writes, as the C program of a user sees it."""

import pathlib
import re
import subprocess

import numpy as np
import onnxruntime
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLI = ROOT / ".venv/bin/opencompiler"
CLS = ROOT / ".cache/models/cls.onnx"
SHAPE = "x=1x3x48x192"
# What libc, libm and libpthread of any Linux provide; everything else a library must bring itself.
ALLOWED = re.compile(
    r"^(pthread_|sched_|mem(set|cpy|move)|malloc|free|aligned_alloc|posix_memalign|getenv|sysconf|syscall|clock_gettime"
    r"|nanosleep|getpid|(exp|log|tanh|sin|cos|pow|erf|floor|round|fmod)f?$|strto|str|snprintf|__errno_location|_GLOBAL_OFFSET"
    r"|open|read|close|getauxval|sem_|abort|munmap|mmap|madvise|usleep)"
)


def run(*command, **options):
    done = subprocess.run(
        [str(word) for word in command],
        check=False,
        capture_output=True,
        text=True,
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def compile_model(folder, name, *more):
    run(
        CLI,
        "compile",
        CLS,
        "-o",
        folder,
        "--name",
        name,
        "--shape",
        SHAPE,
        "--threads",
        "1",
        *more,
    )


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    folder = tmp_path_factory.mktemp("libraries")
    compile_model(folder, "first")
    compile_model(folder, "second", "--target", "x86-64-avx2")
    return folder


def test_a_c99_program_links_two_libraries_and_nothing_else(libraries):
    header = (libraries / "first.h").read_text()
    outputs = int(re.findall(r"_ELEMENTS (\d+)", header)[-1])
    main = libraries / "main.c"
    main.write_text(
        f"""
#include <stdio.h>
#include "first.h"
#include "second.h"
static float x[FIRST_X_ELEMENTS], y[2][{outputs}];
int main(void) {{
  first* a = 0;
  second* b = 0;
  int status;
  FILE* file = fopen("x.bin", "rb");
  if (!file || fread(x, sizeof x, 1, file) != 1) return 2;
  fclose(file);
  if ((status = first_create(&a, 0))) return puts(first_error_string(status)), 3;
  if ((status = second_create(&b, 0))) return puts(second_error_string(status)), 4;
  if (first_run(a, x, y[0]) || second_run(b, x, y[1])) return 5;
  if (!first_run(a, 0, y[0])) return 6; /* a null tensor is an error code */
  first_destroy(a);
  second_destroy(b);
  file = fopen("y.bin", "wb");
  if (!file || fwrite(y, sizeof y, 1, file) != 1) return 7;
  return fclose(file);
}}
"""
    )
    x = np.random.default_rng(3).uniform(-1, 1, (1, 3, 48, 192)).astype(np.float32)
    x.tofile(libraries / "x.bin")
    strict = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]
    program = [
        "main.c",
        "libfirst.a",
        "libsecond.a",
        "-lm",
        "-lpthread",
        "-o",
        "program",
    ]
    run("cc", *strict, *program, cwd=libraries)
    run("./program", cwd=libraries)
    y = np.fromfile(libraries / "y.bin", np.float32).reshape(2, -1)
    session = onnxruntime.InferenceSession(CLS, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": x})[0].ravel()
    assert np.max(np.abs(y - expected)) / np.max(np.abs(expected)) < 1e-3

    needs = {line.split()[0] for line in run("ldd", libraries / "program").splitlines()}
    assert all(re.search(r"vdso|libc\.|libm\.|libpthread|ld-linux", n) for n in needs)


def test_the_library_brings_what_it_calls_and_exports_its_own_names_only(libraries):
    undefined = {
        line.split()[-1]
        for line in run("nm", "-u", libraries / "libfirst.a").splitlines()
        if line.strip().startswith("U ")
    }
    defined = {
        line.split()[-1]
        for line in run(
            "nm", "--defined-only", "-g", libraries / "libfirst.a"
        ).splitlines()
        if len(line.split()) == 3
    }
    assert [name for name in undefined - defined if not ALLOWED.match(name)] == []
    assert [name for name in defined if not name.startswith("first_")] == []


def test_the_same_lock_gives_the_same_bytes(libraries, tmp_path):
    lock = libraries / "first.lock"
    for cache in ("one", "two"):
        run(
            *(CLI, "compile", CLS, "-o", tmp_path / cache, "--name", "first"),
            *("--shape", SHAPE, "--threads", "1", "--lock", lock),
            env={
                "OPENCOMPILER_CACHE": str(tmp_path / f"cache-{cache}"),
                "HOME": str(tmp_path),
                "PATH": "/usr/bin",
            },
        )
    for file in ("libfirst.a", "libfirst.so", "first.h"):
        first = (tmp_path / "one" / file).read_bytes()
        assert first == (tmp_path / "two" / file).read_bytes()


def test_cross_compiled_to_arm64_it_agrees_under_emulation(tmp_path):
    compile_model(tmp_path, "arm", "--target", "arm-64-linux")
    x = np.random.default_rng(4).uniform(-1, 1, (1, 3, 48, 192)).astype(np.float32)
    x.tofile(tmp_path / "x.bin")
    (tmp_path / "main.c").write_text(
        """
#include <stdio.h>
#include "arm.h"
static float x[ARM_X_ELEMENTS], y[64];
int main(void) {
  FILE* file = fopen("x.bin", "rb");
  if (!file || fread(x, sizeof x, 1, file) != 1) return 2;
  const int status = arm_run_once(x, y);
  if (status) return puts(arm_error_string(status)), 3;
  printf("%.9g %.9g\\n", y[0], y[1]);
  return 0;
}
"""
    )
    run(
        *("aarch64-linux-gnu-gcc", "-std=c99", "-static", "main.c", "libarm.a"),
        *("-lm", "-lpthread", "-o", "program"),
        cwd=tmp_path,
    )
    text = run("qemu-aarch64-static", "./program", cwd=tmp_path)
    y = np.array(text.split(), np.float32)
    session = onnxruntime.InferenceSession(CLS, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": x})[0].ravel()
    assert np.max(np.abs(y - expected)) / np.max(np.abs(expected)) < 1e-3
