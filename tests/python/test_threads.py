"""The threads of a compiled library, as a host sees them: how many, whose, and when."""

import os
import subprocess

import numpy as np
import onnx
import pytest
from harness import CLI, NAMESPACE, run
from onnx import TensorProto, helper, numpy_helper

CPUS = len(os.sched_getaffinity(0))
OK, INVALID_HANDLE, BAD_OPTIONS, BUSY = 0, 2, 3, 10  # status.inc
# What the library asks for a number of threads.
ASKED = ("OPENCOMPILER_NUM_THREADS", "OMP_NUM_THREADS")
PLAIN = {name: value for name, value in os.environ.items() if name not in ASKED}

several = pytest.mark.skipif(CPUS < 2, reason="needs two processors")

# main MODE [THREADS]. What a run gives must be what one thread gave.
MAIN = """
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "conv.h"
#define CHECK(what) do { if (!(what)) { fprintf(stderr, "line %d: %s\\n", __LINE__, #what); _exit(1); } } while (0)
static float x[CONV_X_ELEMENTS], expected[CONV_Y_ELEMENTS];

static int create(conv** model, int threads) {
  const conv_options options = {.size = sizeof options, .num_threads = threads};
  return conv_create(model, &options);
}
static void run(conv* model) {
  float* y = malloc(sizeof expected);
  memset(y, 255, sizeof expected);
  CHECK(conv_run(model, x, y) == 0);
  CHECK(memcmp(y, expected, sizeof expected) == 0);
  free(y);
}
static int threads_of_process(void) {
  int count = -2; /* "." and ".." */
  DIR* folder = opendir("/proc/self/task");
  while (readdir(folder)) ++count;
  closedir(folder);
  return count;
}

static int loops, indices;
static void serial_backwards(void* context, conv_task task, void* task_context, int count) {
  CHECK(context == x);
  ++loops;
  for (int i = count - 1; i >= 0; --i, ++indices) CHECK(task(task_context, i) == 0);
}
typedef struct share { conv_task task; void* context; int index; } share;
static void* do_share(void* argument) {
  const share* s = argument;
  CHECK(s->task(s->context, s->index) == 0);
  return 0;
}
static void own_threads(void* context, conv_task task, void* task_context, int count) {
  pthread_t threads[256];
  share shares[256];
  CHECK(context == x && count <= 256);
  ++loops;
  for (int i = 0; i < count; ++i) {
    shares[i] = (share){task, task_context, i};
    CHECK(pthread_create(&threads[i], 0, do_share, &shares[i]) == 0);
  }
  for (int i = 0; i < count; ++i, ++indices) CHECK(pthread_join(threads[i], 0) == 0);
}
static conv* running;
static int status_inside;
static void calls_again(void* context, conv_task task, void* task_context, int count) {
  static float y[CONV_Y_ELEMENTS];
  (void)context;
  status_inside = conv_run(running, x, y);
  for (int i = 0; i < count; ++i) task(task_context, i);
}

static void* many_runs(void* threads) {
  conv* model = 0;
  CHECK(create(&model, (int)(size_t)threads) == 0);
  for (int i = 0; i < 50; ++i) run(model);
  CHECK(conv_destroy(model) == 0);
  return 0;
}

int main(int count, char** words) {
  const int threads = count > 2 ? atoi(words[2]) : 2;
  const char* mode = words[1];
  conv* model = 0;
  for (size_t i = 0; i < sizeof x / sizeof *x; ++i) x[i] = (float)(i % 17) / 17;
  CHECK(create(&model, 1) == 0 && conv_run(model, x, expected) == 0 && conv_destroy(model) == 0);
  model = 0;
  if (!strcmp(mode, "count")) {
    const int status = create(&model, threads);
    if (status == 0) run(model);
    printf("%d %d", status, conv_num_threads(model));
  } else if (!strcmp(mode, "host")) {
    conv_set_parallel_for(threads < 0 ? serial_backwards : own_threads, x);
    CHECK(create(&model, 2) == 0);
    run(model);
    CHECK(threads_of_process() == 1); /* the library has started none */
    CHECK(loops > 0 && indices == loops * conv_num_threads(model));
    const int seen = loops;
    conv_set_parallel_for(0, 0);
    run(model);
    CHECK(loops == seen);
    CHECK(threads_of_process() == conv_num_threads(model)); /* now it has its own */
  } else if (!strcmp(mode, "busy")) {
    CHECK(create(&running, 2) == 0);
    conv_set_parallel_for(calls_again, 0);
    run(running);
    printf("%d", status_inside);
  } else if (!strcmp(mode, "two")) {
    pthread_t other;
    CHECK(pthread_create(&other, 0, many_runs, (void*)(size_t)threads) == 0);
    many_runs((void*)(size_t)threads);
    CHECK(pthread_join(other, 0) == 0);
    CHECK(threads_of_process() == 1); /* the workers went with the last instance */
  } else if (!strcmp(mode, "fork")) {
    CHECK(create(&model, threads) == 0);
    run(model);
    const pid_t child = fork();
    run(model);
    if (child == 0) {
      CHECK(threads_of_process() == conv_num_threads(model));
      many_runs((void*)(size_t)threads);
      CHECK(conv_destroy(model) == 0);
      return 0;
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    run(model);
  } else if (!strcmp(mode, "many")) {
    conv* all[200];
    for (int i = 0; i < 200; ++i) CHECK(create(&all[i], 1) == 0);
    for (int i = 0; i < 200; i += 3) CHECK(conv_destroy(all[i]) == 0);
    for (int i = 0; i < 200; ++i) CHECK(conv_run(all[i], x, expected) == (i % 3 ? 0 : 2));
    for (int i = 0; i < 200; ++i) CHECK(conv_destroy(all[i]) == (i % 3 ? 0 : 2));
  } else if (!strcmp(mode, "destroyed")) {
    CHECK(create(&model, threads) == 0 && conv_destroy(model) == 0);
    printf("%d %d %d", conv_run(model, x, expected), conv_destroy(model), conv_num_threads(model));
    return 0;
  }
  return conv_destroy(model);
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A convolution large enough for two threads, linked into a program."""
    folder = tmp_path_factory.mktemp("threads")
    weights = np.random.default_rng(0).normal(size=(64, 64, 3, 3)).astype(np.float32)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])],
        "conv",
        [value("x", TensorProto.FLOAT, [1, 64, 24, 24])],
        [value("y", TensorProto.FLOAT, [1, 64, 24, 24])],
        [numpy_helper.from_array(weights, "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(
        helper.make_model(graph, opset_imports=opset, ir_version=10),
        folder / "conv.onnx",
    )
    # No --threads: how many is decided when it runs.
    run(CLI, "compile", folder / "conv.onnx", "-o", folder, "--name", "conv", env=PLAIN)
    (folder / "main.c").write_text(MAIN)
    flags = ("-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror")
    run(
        *("cc", *flags, "main.c", "libconv.a", "-lm", "-lpthread", "-o", "main"),
        cwd=folder,
    )
    return folder / "main"


def numbers(program, *words, before=(), **environment):
    """What the program prints, all checks of its own passed."""
    done = subprocess.run(
        [*before, program, *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=PLAIN | environment,
    )
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


def test_a_number_of_threads_is_met_or_refused(program):
    assert numbers(program, "count", 1) == [OK, 1]
    status, chosen = numbers(program, "count", 0)
    assert status == OK
    assert 1 <= chosen <= CPUS
    assert numbers(program, "count", 1000) == [OK, min(CPUS, 256)]
    for nonsense in (-1, 100_000):
        assert numbers(program, "count", nonsense) == [BAD_OPTIONS, 0]


@pytest.mark.parametrize("name", ASKED)
def test_the_environment_decides_where_the_program_does_not(program, name):
    assert numbers(program, "count", 0, **{name: "1"}) == [OK, 1]
    assert numbers(program, "count", 0, **{name: "1000"}) == [OK, min(CPUS, 256)]
    assert numbers(program, "count", 1000, **{name: "1"}) == [OK, min(CPUS, 256)]
    undecided = numbers(program, "count", 0)
    for nonsense in ("", "0", "-3", "two"):
        assert numbers(program, "count", 0, **{name: nonsense}) == undecided


@several
def test_no_more_threads_than_the_process_may_use(program):
    cpu = str(min(os.sched_getaffinity(0)))
    for asked in (0, 2, 1000):
        words = ("count", asked)
        assert numbers(program, *words, before=("taskset", "-c", cpu)) == [OK, 1]


# As a container's runtime limits what is in it, for as long as the program runs.
QUOTA = """mount -t tmpfs none /sys/fs/cgroup && echo "$0" > /sys/fs/cgroup/cpu.max && exec "$@" """


@several
@pytest.mark.parametrize(
    ("quota", "threads"),
    [("50000 100000", 1), ("150000 100000", 2), ("max 100000", CPUS)],
)
def test_a_quota_of_processor_time_is_a_number_of_threads(program, quota, threads):
    within = [*NAMESPACE, "sh", "-c", QUOTA, quota]
    if subprocess.run([*within, "true"], check=False, capture_output=True).returncode:
        pytest.skip("may not mount anything")
    assert numbers(program, "count", 0, before=within) == [OK, min(threads, CPUS, 256)]


@several
@pytest.mark.parametrize("threads", [-1, 1], ids=["serial, backwards", "its own"])
def test_loops_run_where_the_host_says(program, threads):
    numbers(program, "host", threads)


@several
def test_an_instance_that_runs_is_busy(program):
    assert numbers(program, "busy") == [BUSY]


@pytest.mark.parametrize("threads", [1, 2])
def test_two_instances_run_at_once(program, threads):
    numbers(program, "two", threads)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_forked_child_goes_on_with_the_instance(program, threads):
    numbers(program, "fork", threads)


def test_hundreds_of_instances_are_told_from_those_destroyed(program):
    numbers(program, "many")


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_destroyed_is_refused(program, threads):
    assert numbers(program, "destroyed", threads) == [INVALID_HANDLE] * 2 + [0]
