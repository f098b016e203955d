"""An op that lives in a repository of its own builds against the built tree, and its schedules agree with plain loops."""

import re
import shutil

from harness import BUILD, ROOT, run


def test_builds_and_agrees_outside_the_tree(tmp_path):
    source = tmp_path / "outside_op"
    shutil.copytree(ROOT / "tests/outside_op", source)
    op = (source / "distance.cpp").read_text() + (source / "distance.h").read_text()
    # The op is written against one header.
    included = re.findall(r"#include (\S+)", op)
    assert set(included) == {'"distance.h"', "<opencompiler/dsl.h>"}
    run(
        *("cmake", "-G", "Ninja", "-S", source, "-B", tmp_path / "build"),
        *(f"-DOpenCompiler_DIR={BUILD}", "-DCMAKE_CXX_FLAGS=-O0"),
    )
    run("ninja", "-C", tmp_path / "build")
    assert run(tmp_path / "build/outside_op") == "6 schedules agree\n"
