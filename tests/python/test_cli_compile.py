"""`compile` and `explain` on the command line: options in any order, threads, locks, forced schedules, the cache."""

import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLI = ROOT / ".venv/bin/opencompiler"
CLS = ROOT / ".cache/models/cls.onnx"
EFFICIENTNET = ROOT / ".cache/models/efficientnet_lite0.onnx"
SHAPE = ("--shape", "x=1x3x48x192")
X = ("--input", "x=1x3x48x192xf32=0.5")


@pytest.fixture
def opencompiler(tmp_path):
    def call(*arguments, **environment):
        unset = ("OPENCOMPILER_NUM_THREADS", "OMP_NUM_THREADS")
        inherited = {k: v for k, v in os.environ.items() if k not in unset}
        return subprocess.run(
            [CLI, *map(str, arguments)],
            check=False,
            capture_output=True,
            text=True,
            env={
                **inherited,
                "OPENCOMPILER_DB": str(tmp_path / "none.db"),
                **environment,
            },
        )

    return call


@pytest.fixture
def good(opencompiler):
    def call(*arguments, **environment):
        done = opencompiler(*arguments, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def lock_of(folder):
    return json.loads(next(folder.glob("*.lock")).read_text())


@pytest.mark.parametrize(
    "options",
    [
        (*SHAPE,),
        ("--shape", "x=1x3x48x192", "--emit", "static,header"),
        ("--disable-pass", "fold_scale", *SHAPE),
    ],
)
def test_options_may_stand_before_the_model(good, tmp_path, options):
    good("compile", *options, CLS, "-o", tmp_path / "out")
    assert (tmp_path / "out/libcls.a").exists()


def test_run_takes_inputs_before_the_model(good, tmp_path):
    good("run", *X, "--threads", "1", CLS)


@pytest.mark.parametrize("variable", ["OPENCOMPILER_NUM_THREADS", "OMP_NUM_THREADS"])
def test_the_environment_says_how_many_threads(good, tmp_path, variable):
    good("compile", CLS, *SHAPE, "-o", tmp_path / "out", **{variable: "3"})
    assert lock_of(tmp_path / "out")["threads"] == 3
    manifest = json.loads((tmp_path / "out/cls.json").read_text())
    assert manifest["default_threads"] == 0


def test_threads_on_the_command_line_win_and_become_the_librarys_default(
    good, tmp_path
):
    good(
        *("compile", CLS, *SHAPE, "-o", tmp_path / "out", "--threads", "1"),
        OPENCOMPILER_NUM_THREADS="3",
    )
    assert lock_of(tmp_path / "out")["threads"] == 1
    manifest = json.loads((tmp_path / "out/cls.json").read_text())
    assert manifest["default_threads"] == 1


@pytest.fixture
def lock(good, tmp_path):
    good("compile", CLS, *SHAPE, "-o", tmp_path / "made", "--threads", "1")
    return tmp_path / "made/cls.lock"


def refused(done, *words):
    assert done.returncode == 1, done.stderr
    first = done.stderr.splitlines()[0]
    assert first.startswith("error: "), first
    assert all(word in first for word in words), first


def test_a_lock_of_another_model_is_refused(opencompiler, lock, tmp_path):
    done = opencompiler(
        *("compile", EFFICIENTNET, "-o", tmp_path / "out", "--lock", lock),
        *("--threads", "1"),
    )
    refused(done, "cls.lock", "no schedule for kernel")
    assert not (tmp_path / "out").exists()


def test_a_lock_of_another_target_is_refused(opencompiler, lock, tmp_path):
    done = opencompiler(
        *("compile", CLS, *SHAPE, "-o", tmp_path / "out", "--lock", lock),
        *("--threads", "1", "--target", "x86-64-sse41"),
    )
    refused(done, "cls.lock", "target", "sse41")


def test_a_lock_of_other_threads_is_refused(opencompiler, lock, tmp_path):
    done = opencompiler(
        *("compile", CLS, *SHAPE, "-o", tmp_path / "out", "--lock", lock),
        *("--threads", "2"),
    )
    refused(done, "cls.lock", "1 threads", "--threads 1")


def test_a_lock_says_the_threads_when_nobody_else_does(good, lock, tmp_path):
    good("compile", CLS, *SHAPE, "-o", tmp_path / "out", "--lock", lock)
    assert lock_of(tmp_path / "out") == json.loads(lock.read_text())


def test_a_lock_of_another_compiler_is_one_warning(opencompiler, lock, tmp_path):
    lock.write_text(lock.read_text().replace('"toolchain": "', '"toolchain": "older '))
    done = opencompiler("compile", CLS, *SHAPE, "-o", tmp_path / "out", "--lock", lock)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("warning:") == 1
    assert "cls.lock" in done.stderr


def first_kernel(good):
    groups = json.loads(
        good("explain", CLS, *SHAPE, "--threads", "1", "--format", "json")
    )["groups"]
    return groups[0]["kernel"], groups[0]["schedule"]


def test_a_forced_schedule_is_recorded_as_forced(good, tmp_path):
    kernel, schedule = first_kernel(good)
    file = tmp_path / "a=b.txt"
    file.write_text(schedule)
    good(
        *("compile", CLS, *SHAPE, "-o", tmp_path / "out", "--threads", "1"),
        *("--schedule", f"{kernel}={file}"),
    )
    rows = {row["workload_hash"]: row for row in lock_of(tmp_path / "out")["kernels"]}
    assert rows[kernel]["rung"] == rows[kernel]["trial"] == "forced"
    assert [row["rung"] for row in rows.values()].count("forced") == 1


def test_a_wrong_forced_schedule_names_file_and_kernel(opencompiler, good, tmp_path):
    kernel, _ = first_kernel(good)
    (tmp_path / "bad.txt").write_text("window v1\nfrobnicate x=1\n")
    done = opencompiler(
        *("compile", CLS, *SHAPE, "-o", tmp_path / "out"),
        *("--schedule", f"{kernel[:8]}={tmp_path / 'bad.txt'}"),
    )
    refused(done, "bad.txt", kernel[:8], "line 2", "frobnicate")


def test_a_damaged_schedule_in_a_lock_names_file_and_kernel(
    opencompiler, lock, tmp_path
):
    content = json.loads(lock.read_text())
    content["kernels"][0]["schedule"] = "window v1\nfrobnicate x=1\n"
    lock.write_text(json.dumps(content))
    done = opencompiler("compile", CLS, *SHAPE, "-o", tmp_path / "out", "--lock", lock)
    refused(done, "cls.lock", content["kernels"][0]["workload_hash"], "frobnicate")


def library(good, cache):
    done = good(
        *("compile", CLS, *SHAPE, "--threads", "1", "--cache", "--json"),
        OPENCOMPILER_CACHE=str(cache),
    )
    return pathlib.Path(json.loads(done)["library"])


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("file", ["libmodel.so", "model.weights"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied"])
def test_a_damaged_cached_module_is_made_again(good, cache, file, damage):
    path = library(good, cache)
    expected = good("run", CLS, *X, "--threads", "1", OPENCOMPILER_CACHE=str(cache))
    victim = path.with_name(file)
    bytes_ = victim.read_bytes()
    middle = len(bytes_) // 2
    broken = {
        "truncated": bytes_[:middle],
        "flipped": bytes_[:middle] + bytes([bytes_[middle] ^ 1]) + bytes_[middle + 1 :],
        "emptied": b"",
    }[damage]
    victim.write_bytes(broken)
    again = good("run", CLS, *X, "--threads", "1", OPENCOMPILER_CACHE=str(cache))
    assert again == expected
    assert victim.read_bytes() == bytes_


def test_modules_of_equal_weights_share_one_file(good, cache):
    for width in (192, 96):
        good(
            *("compile", CLS, "--shape", f"x=1x3x48x{width}", "--threads", "1"),
            "--cache",
            OPENCOMPILER_CACHE=str(cache),
        )
    weights = list(cache.glob("modules/*/model.weights"))
    assert len(weights) == 2
    same = weights[0].read_bytes() == weights[1].read_bytes()
    assert (weights[0].stat().st_ino == weights[1].stat().st_ino) == same
    stored = {file.stat().st_ino for file in cache.glob("weights/*")}
    assert {file.stat().st_ino for file in weights} == stored


def test_a_default_database_with_damaged_pages_is_one_warning(
    opencompiler, good, tmp_path
):
    database = tmp_path / "damaged.db"
    (tmp_path / "nothing.jsonl").touch()
    good("db", "import", tmp_path / "nothing.jsonl", "--db", database)
    content = database.read_bytes()
    database.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    command = ("run", CLS, *X, "--threads", "1")
    done = opencompiler(*command, OPENCOMPILER_DB=str(database))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("warning:") == 1
    assert "damaged.db" in done.stderr
    assert done.stdout == good(*command)
    refused(opencompiler(*command, "--db", database), "damaged.db", "damaged")
