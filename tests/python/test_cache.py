"""What lies in the cache is used by the program that made it, and by no other build of it."""

import json
import shutil

import pytest
from harness import CLI, CLS, CLS_SHAPE, run


@pytest.fixture
def rebuilt(tmp_path):
    """The program as another build of it: it does the same, its file differs."""
    program = tmp_path / "opencompiler"
    shutil.copy(CLI, program)
    with program.open("ab") as file:
        file.write(b"\0")
    return program


def test_another_build_of_the_program_compiles_anew(rebuilt, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENCOMPILER_CACHE", str(tmp_path / "cache"))

    def compiled(program, *flags):
        command = (program, "compile", CLS, *CLS_SHAPE, "--threads", "1", "--json")
        return json.loads(run(*command, *flags))

    out = ("-o", tmp_path / "out")
    assert compiled(CLI, *out)["built"] > 0
    assert compiled(CLI, *out)["built"] == 0
    first = compiled(CLI, "--cache")
    again = compiled(rebuilt, *out)
    assert again["built"] == again["kernels"]
    assert compiled(CLI, "--cache")["library"] == first["library"]
    assert compiled(rebuilt, "--cache")["library"] != first["library"]
