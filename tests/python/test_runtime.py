"""The functions of runtime.h when they are given nothing."""

import subprocess

import pytest
from harness import runtime_program

NULL_ARGUMENT = 1  # runtime/include/opencompiler/status.inc

MAIN = """
#include <stdio.h>
#include "opencompiler/runtime.h"
int main(void) {
  oc_module* module = 0;
  oc_session* session = 0;
  oc_tensor tensor;
  const char *key, *value;
  printf("[%s][%s]", oc_module_name(0), oc_module_step(0, 0));
  printf("%zu %zu %zu ", oc_module_num_inputs(0), oc_module_num_outputs(0), oc_module_num_metadata(0));
  printf("%zu %zu %zu ", oc_module_num_steps(0), oc_module_arena_bytes(0), oc_module_weights_bytes(0));
  printf("%d;", oc_session_num_threads(0));
  printf(" %d %d", oc_module_open(0, &module), oc_module_open("x", 0));
  printf(" %d %d", oc_module_input(0, 0, &tensor), oc_module_output(0, 0, &tensor));
  printf(" %d", oc_module_metadata(0, 0, &key, &value));
  printf(" %d", oc_session_create(0, 0, &session));
  printf(" %d %d", oc_session_run(0, 0, 0), oc_session_run_profiled(0, 0, 0, 0));
  oc_session_destroy(0);
  oc_module_close(0);
  return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    return runtime_program(folder, MAIN, "-std=c99")


def test_null_is_answered(program):
    done = subprocess.run([program], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done
    answers, codes = done.stdout.split(";")
    assert answers == "[][]0 0 0 0 0 0 0"
    assert set(codes.split()) == {str(NULL_ARGUMENT)}
