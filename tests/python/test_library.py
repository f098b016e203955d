"""What `compile` writes, as the C program of a user sees it."""

import os
import re
import shutil

import numpy as np
import onnxruntime
import pytest
from harness import CLI, CLS, CLS_SHAPE, TOLERANCE, err, run

# What libc, libm and libpthread of any Linux provide; everything else a library must bring itself.
ALLOWED = re.compile(
    r"clock_gettime|close|free|_setjmp|longjmp|getauxval|getenv|getpid|madvise|mem(cpy|move|set)|mmap|munmap|open|posix_memalign|read|strlen|syscall"
    r"|pthread_(create|join|sigmask)|sched_(getaffinity|yield)|(cos|erf|exp|fmod|log|pow|sin)f"
)
SYSTEM_LIBRARIES = re.compile(
    r"(linux-vdso|libc|libm|libpthread|/lib.*/ld-linux.*)\.so"
)


def compile_model(folder, name, *more):
    run(
        *(CLI, "compile", CLS, "-o", folder, "--name", name),
        *(*CLS_SHAPE, "--threads", "1", *more),
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
    assert err(y, expected) <= TOLERANCE

    assert strange_libraries(libraries / "program") == []


def strange_libraries(file):
    """What the dynamic linker loads for the file beyond the system's own."""
    names = [line.split()[0] for line in run("ldd", file).splitlines()]
    return [name for name in names if not SYSTEM_LIBRARIES.match(name)]


def undefined(file, *flags):
    lines = map(str.split, run("nm", "-u", *flags, file).splitlines())
    return {w[-1].split("@")[0] for w in lines if len(w) == 2}


def exported(file, *flags):
    lines = map(str.split, run("nm", "-g", "--defined-only", *flags, file).splitlines())
    return {words[-1] for words in lines if len(words) == 3}


def strangers(file, *flags):
    """Symbols that neither the library nor the system provides."""
    unmet = undefined(file, *flags) - exported(file, *flags)
    return {name for name in unmet if not ALLOWED.fullmatch(name)}


def test_the_libraries_bring_what_they_call(libraries):
    assert {"memcpy", "pthread_create"} <= undefined(libraries / "libfirst.a")
    assert strangers(libraries / "libfirst.a") == set()
    assert {"memcpy", "pthread_create"} <= undefined(libraries / "libfirst.so", "-D")
    assert strangers(libraries / "libfirst.so", "-D") == set()
    assert strange_libraries(libraries / "libfirst.so") == []


def test_the_libraries_export_their_own_names_only(libraries):
    archive = exported(libraries / "libfirst.a")
    assert "first_create" in archive
    assert [name for name in archive if not name.startswith("first_")] == []
    shared = exported(libraries / "libfirst.so", "-D")
    # The one name by which a program that opens libraries at run time finds what they hold.
    shared.remove("oc_library")
    assert "first_create" in shared
    assert [name for name in shared if not name.startswith("first_")] == []


def test_a_stranger_among_the_symbols_would_be_seen(libraries, tmp_path):
    shutil.copy(libraries / "libfirst.a", tmp_path)
    (tmp_path / "odd.c").write_text(
        "#include <png.h>\nint puts(const char*);\n"
        "int first_odd(void) { return puts(png_get_libpng_ver(0)); }\n"
    )
    run("cc", "-fPIC", "-c", "odd.c", cwd=tmp_path)
    run("ar", "r", "libfirst.a", "odd.o", cwd=tmp_path)
    run("cc", "-shared", "odd.o", "-lpng", "-o", "libodd.so", cwd=tmp_path)
    assert strangers(tmp_path / "libfirst.a") == {"puts", "png_get_libpng_ver"}
    assert {"puts", "png_get_libpng_ver"} <= strangers(tmp_path / "libodd.so", "-D")
    assert any("libpng" in name for name in strange_libraries(tmp_path / "libodd.so"))


def test_the_same_lock_gives_the_same_bytes(libraries, tmp_path):
    lock = libraries / "first.lock"
    for cache in ("one", "two"):
        run(
            *(CLI, "compile", CLS, "-o", tmp_path / cache, "--name", "first"),
            *(*CLS_SHAPE, "--threads", "1", "--lock", lock),
            env={
                "OPENCOMPILER_CACHE": str(tmp_path / f"cache-{cache}"),
                "OPENCOMPILER_HOST_TARGET": os.environ.get(
                    "OPENCOMPILER_HOST_TARGET", ""
                ),
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
    assert err(y, expected) <= TOLERANCE
