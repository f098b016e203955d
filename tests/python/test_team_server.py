"""`db push` and `db pull` against a PostgreSQL server of the test's own, with passwords and a user for each role."""

import contextlib
import functools
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import zlib

import pytest
from harness import CLI, ROOT, resigned

SHIPPED = max(
    (ROOT / "tuning_db/system").glob("*.jsonl"), key=lambda file: file.stat().st_size
)
OWNER = "owner"  # the server's superuser
# Trials and marks are given to one of them or both; the rest of a database they share.
OVERLAP = 3
AT_ONCE = 1000  # rows that export, import, push and pull carry at most in one piece


def server_programs() -> pathlib.Path:
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    program = found[-1] if found else shutil.which("postgres")
    assert program, "PostgreSQL is not installed: run ./dev setup"
    return pathlib.Path(program).parent


class Server:
    """A server on a free port that can be stopped, killed and started again."""

    def __init__(self, folder: pathlib.Path):
        self.data = folder / "data"
        self.programs = server_programs()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        folder.chmod(0o711)
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(folder, "postgres")
        (folder / "password").write_text("secret\n")
        self.program(
            *("initdb", "-D", self.data, "-U", OWNER, "--auth=scram-sha-256"),
            *("--pwfile", folder / "password", "--encoding=UTF8", "--no-locale"),
        )
        self.start()

    def program(self, name, *arguments):
        own = self.programs / name
        command = [own if own.exists() else name, *arguments]
        if os.getuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(command, check=True, capture_output=True, cwd=self.data.parent)

    def start(self):
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        log = self.data.parent / "log"
        self.program(
            *("pg_ctl", "-D", self.data, "-w", "-l", log, "-o", options, "start")
        )

    def stop(self, mode="immediate"):
        self.program("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def address(self, user=OWNER, database="postgres", password="secret"):
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def sql(self, database, text, user=OWNER) -> str:
        done = subprocess.run(
            ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", self.address(user, database)],
            input=text,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()


@pytest.fixture(scope="module")
def server():
    # Not among pytest's folders, which are closed to other users.
    with tempfile.TemporaryDirectory(prefix="opencompiler-postgres-") as folder:
        running = Server(pathlib.Path(folder))
        yield running
        running.stop()


@pytest.fixture
def team(server, request):
    """A database of the server with a reader and a writer, as an address by user."""
    name = f"d{zlib.crc32(request.node.name.encode())}"
    server.sql("postgres", f"CREATE DATABASE {name}")
    empty = server.data.parent / "empty.jsonl"
    empty.write_text("")
    assert push(server.address(database=name), imported(empty), "--migrate")[0] == 0
    for role in ("reader", "writer"):
        user = f"{role}_{name}"
        server.sql(
            "postgres",
            f"CREATE ROLE {user} LOGIN PASSWORD 'secret' IN ROLE opencompiler_{role}",
        )

    def address(role, **rest):
        return server.address(f"{role}_{name}", name, **rest)

    address.database = name
    return address


def db(*arguments) -> tuple[int, str, str]:
    done = subprocess.run(
        [CLI, "db", *arguments], check=False, capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


def imported(lines: pathlib.Path) -> pathlib.Path:
    """A database beside `lines` that holds them."""
    path = lines.with_suffix(".db")
    path.unlink(missing_ok=True)
    code, _, error = db("import", lines, "--db", path)
    assert code == 0, error
    return path


def push(address, database, *flags):
    return db("push", address, "--db", database, *flags)


def pull(address, database):
    return db("pull", address, "--db", database)


def exported(database) -> str:
    code, lines, error = db("export", "-", "--db", database)
    assert code == 0, error
    return lines


@functools.cache
def many_lines() -> list[str]:
    """What ships, and its trials again as of earlier times: more of them than are carried at once."""
    lines = SHIPPED.read_text().splitlines()
    trials = [line for line in lines if '"kind":"trial"' in line]
    for turn in range(1, 2 + AT_ONCE // len(trials)):
        for line in trials:
            trial = json.loads(line)
            trial["unix_ms"] -= turn
            lines.append(resigned(trial).rstrip())
    return lines


def shared(folder, which):
    """Two of three trials and marks of many lines, all else: databases that overlap."""
    kept = []
    for number, line in enumerate(many_lines()):
        own = '"kind":"trial"' in line or '"kind":"mark"' in line
        if not own or number % OVERLAP != which:
            kept.append(line)
    folder.mkdir(exist_ok=True)
    path = folder / f"part-{which}.jsonl"
    path.write_text("\n".join(kept) + "\n")
    return imported(path)


def test_round_trip_is_the_database(team, tmp_path):
    whole = shared(tmp_path, OVERLAP)  # leaves nothing out
    code, said, error = push(team("writer"), whole)
    assert code == 0, error
    rows = len(exported(whole).splitlines())
    assert rows > AT_ONCE
    assert said == f"added {rows}, known 0\n"
    assert push(team("writer"), whole)[1] == f"added 0, known {rows}\n"
    code, said, error = pull(team("reader"), tmp_path / "mine.db")
    assert (code, said) == (0, f"added {rows}, known 0, skipped 0\n"), error
    assert exported(tmp_path / "mine.db") == exported(whole)


def test_two_writers_at_once_lose_nothing(team, tmp_path):
    parts = [shared(tmp_path, 0), shared(tmp_path, 1)]
    pushes = [
        subprocess.Popen(
            [CLI, "db", "push", team("writer"), "--db", part], stderr=subprocess.PIPE
        )
        for part in parts
    ]
    for each in pushes:
        assert each.wait() == 0, each.stderr.read()
    assert pull(team("reader"), tmp_path / "mine.db")[0] == 0
    union = tmp_path / "union.db"
    for part in parts:
        assert db("merge", part, "--db", union)[0] == 0
    assert exported(tmp_path / "mine.db") == exported(union)


def test_texts_filled_in_later_win_by_byte_order(team, tmp_path):
    """The family of a workload, whichever way round it is pushed."""
    line = next(l for l in SHIPPED.read_text().splitlines() if '"workload"' in l)
    for order in (("a", "z", "m"), ("z", "a", "m")):
        for family in order:
            file = tmp_path / f"{family}.jsonl"
            renamed = re.sub(r'"family":"\w+"', f'"family":"{family}"', line)
            file.write_text(renamed + "\n")
            assert push(team("writer"), imported(file))[0] == 0
        mine = tmp_path / f"{order[0]}-first.db"
        assert pull(team("reader"), mine)[0] == 0
        assert '"family":"z"' in exported(mine)


NO_DESCRIPTION = """INSERT INTO opencompiler.machine(line) VALUES('{"description":"~","id":"%s","kind":"machine"}')"""


def test_what_is_no_description_of_a_machine_takes_no_ones_place(
    server, team, tmp_path
):
    whole = shared(tmp_path, OVERLAP)
    machine = json.loads(
        next(l for l in SHIPPED.read_text().splitlines() if '"kind":"machine"' in l)
    )
    for before in (True, False):
        if before:
            insert = NO_DESCRIPTION % machine["id"]
            server.sql(team.database, insert, f"writer_{team.database}")
        assert push(team("writer"), whole)[0] == 0
        mine = tmp_path / f"{before}.db"
        code, said, _ = pull(team("reader"), mine)
        assert code == 0
        assert "1 × description is not that of the machine" in said
        assert exported(mine) == exported(whole)


def test_tables_of_the_first_version_are_renewed(server, team, tmp_path):
    """With what they hold, and who may do what."""
    whole = shared(tmp_path, OVERLAP)
    machine = next(l for l in exported(whole).splitlines() if '"kind":"machine"' in l)
    first = (ROOT / "tuning_db/postgres/schema.sql").read_text()
    server.sql(
        team.database,
        f"BEGIN; DROP SCHEMA opencompiler CASCADE; {first}; INSERT INTO version VALUES(1);"
        f" {NO_DESCRIPTION % json.loads(machine)['id']}; COMMIT;",
    )
    owner = server.address(database=team.database)
    # Who may not renew them reads them as they are.
    for role in ("reader", "writer"):
        code, said, error = pull(team(role), tmp_path / "before.db")
        assert code == 0, error
        assert said.startswith("added 0, known 0, skipped 1\n")
    code, _, error = push(team("writer"), whole)
    assert code == 1
    assert error == (
        "error: the tuning server's tables are of version 1, this program's of 2:"
        " `opencompiler db push --migrate` renews them\n"
    )
    code, said, error = push(owner, whole, "--migrate")
    assert code == 0, error
    rows = len(exported(whole).splitlines())
    assert said == f"added {rows}, known 0\n"
    assert pull(team("reader"), tmp_path / "mine.db")[0] == 0
    assert exported(tmp_path / "mine.db") == exported(whole)
    assert push(team("writer"), whole)[1] == f"added 0, known {rows}\n"


@contextlib.contextmanager
def locked(server, database, table):
    """Nobody else writes to the table meanwhile."""
    holder = subprocess.Popen(
        ["psql", "-XAtq", server.address(database=database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    lock = f"BEGIN; LOCK TABLE opencompiler.{table} IN EXCLUSIVE MODE; SELECT 'held';\n"
    holder.stdin.write(lock)
    holder.stdin.flush()
    try:
        assert holder.stdout.readline() == "held\n"
        yield
    finally:
        holder.kill()
        holder.wait()


def wait_for_waiter(server, database, waiter):
    """Until the server has the process `waiter` wait for a lock."""
    waiting = f"SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = '{database}')"
    while server.sql("postgres", waiting) == "0":
        assert waiter.poll() is None, waiter.stderr.read()
        time.sleep(0.05)


def test_server_that_dies_mid_push_leaves_both_whole(server, team, tmp_path):
    part, whole = shared(tmp_path, 0), shared(tmp_path, OVERLAP)
    assert push(team("writer"), part)[0] == 0
    before = exported(whole)
    with locked(server, team.database, "mark"):
        pushing = subprocess.Popen(
            [CLI, "db", "push", team("writer"), "--db", whole],
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for_waiter(
            server, team.database, pushing
        )  # all but the marks has been sent
        server.stop("immediate")
        assert pushing.wait() == 1
    said = pushing.stderr.read()
    assert said.startswith("error: the tuning server cannot be used: "), said
    assert said.count("\n") == 1
    server.start()
    assert exported(whole) == before
    assert pull(team("reader"), tmp_path / "mine.db")[0] == 0
    assert exported(tmp_path / "mine.db") == exported(part)
    assert push(team("writer"), whole)[0] == 0
    assert pull(team("reader"), tmp_path / "mine.db")[0] == 0
    assert exported(tmp_path / "mine.db") == before


def test_hostile_rows_are_skipped_and_counted(server, team, tmp_path):
    assert push(team("writer"), shared(tmp_path, OVERLAP))[0] == 0
    server.sql(
        team.database,
        """UPDATE opencompiler.trial SET line = replace(line, '"threads":1', '"threads":2')
           WHERE id = (SELECT min(id) FROM opencompiler.trial WHERE threads = 1);""",
    )
    code, said, _ = pull(team("reader"), tmp_path / "mine.db")
    assert code == 0
    assert "skipped 1\n" in said
    assert "1 × the id does not match the content" in said


@pytest.mark.parametrize(
    ("user", "verb", "message"),
    [
        ("reader", "push", "permission denied for table"),
        ("stranger", "pull", "permission denied for schema opencompiler"),
    ],
)
def test_roles(server, team, tmp_path, user, verb, message):
    if user == "stranger":
        name = f"stranger_{team.database}"
        server.sql("postgres", f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    code, _, said = db(verb, team(user), "--db", shared(tmp_path, 0))
    assert code == 1
    assert said.startswith("error: the tuning server refuses: ERROR:  " + message), said


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM opencompiler.trial",
        "TRUNCATE opencompiler.trial",
        "UPDATE opencompiler.trial SET line = line",
        "UPDATE opencompiler.workload SET sender = 'somebody else'",
        # As an update may fill in the family, but nothing else, and only with a later text.
        """UPDATE opencompiler.workload SET line = jsonb_set(line::jsonb, '{text}', '"?"')::text""",
        """UPDATE opencompiler.workload SET line = jsonb_set(line::jsonb, '{family}', '""')::text""",
        """UPDATE opencompiler.machine SET line = (line::jsonb - 'description')::text""",
        """INSERT INTO opencompiler.mark(line, sender) SELECT line, 'somebody else' FROM opencompiler.mark""",
    ],
)
def test_rows_of_others_cannot_be_changed(server, team, tmp_path, change):
    assert push(team("writer"), shared(tmp_path, 0))[0] == 0
    with pytest.raises(subprocess.CalledProcessError) as failed:
        server.sql(team.database, change, f"writer_{team.database}")
    assert re.search("permission denied|rows are immutable", failed.value.stderr)


def test_making_the_tables_takes_the_right_to(server, team, tmp_path):
    server.sql(team.database, "DROP SCHEMA opencompiler CASCADE")
    code, _, said = push(team("writer"), shared(tmp_path, 0), "--migrate")
    assert code == 1
    assert said.endswith("; this takes the right to create schemas and roles\n"), said


def test_wrong_password_is_one_line_without_it(team, tmp_path):
    code, _, said = pull(team("reader", password="guessed"), tmp_path / "mine.db")
    assert code == 1
    assert "password authentication failed for user" in said
    assert "guessed" not in said
    assert said.count("\n") == 1
    assert not (tmp_path / "mine.db").exists()


@pytest.fixture
def authority(server):
    """The server speaks TLS; the certificate of who vouches for it."""
    key, certificate = server.data / "server.key", server.data / "server.crt"
    server.program(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
        *("-keyout", key, "-out", certificate),
        *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
    )
    trusted = server.data.parent / "authority.crt"
    shutil.copy(certificate, trusted)
    for ssl in ("on", "off"):
        server.sql("postgres", f"ALTER SYSTEM SET ssl = {ssl}")
        server.sql("postgres", "SELECT pg_reload_conf()")
        while server.sql("postgres", "SHOW ssl") != ssl:
            time.sleep(0.05)
        if ssl == "on":
            yield trusted


def test_tls_options_reach_the_server(server, team, authority, tmp_path):
    """`verify-full` passes with the server's certificate alone; the connection is then encrypted."""
    whole = shared(tmp_path, OVERLAP)
    checked = f"?sslmode=verify-full&sslrootcert={authority}"
    encrypted = """CREATE FUNCTION opencompiler.is_encrypted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        IF NOT (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) THEN RAISE 'in the clear'; END IF; RETURN NULL; END $$;
        CREATE TRIGGER encrypted BEFORE INSERT ON opencompiler.trial EXECUTE FUNCTION opencompiler.is_encrypted();"""
    server.sql(team.database, encrypted)
    code, _, said = push(team("writer") + "?sslmode=disable", whole)
    assert code == 1
    assert said.endswith("in the clear\n"), said
    code, _, said = push(team("writer") + checked, whole)
    assert code == 0, said
    code, _, said = pull(team("reader") + checked, tmp_path / "mine.db")
    assert code == 0, said
    assert exported(tmp_path / "mine.db") == exported(whole)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("sslmode=verify-full&sslrootcert={unknown}", "certificate verify failed"),
        ("sslmode=verify-full&sslrootcert=/none", "does not exist"),
        ("sslmode=certainly", 'invalid sslmode value: "certainly"'),
        ("ssl_min_protocol_version=9", "invalid"),
    ],
)
def test_tls_that_fails_is_one_line(
    server, team, authority, tmp_path, options, message
):
    unknown = tmp_path / "unknown.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout"]
        + [tmp_path / "key", "-out", unknown, "-subj", "/CN=another"],
        check=True,
        capture_output=True,
    )
    code, _, said = pull(
        f"{team('reader')}?{options.format(unknown=unknown)}", tmp_path / "mine.db"
    )
    assert code == 1
    assert said.startswith("error: the tuning server cannot be used: "), said
    assert message in said
    assert "secret" not in said
    assert said.count("\n") == 1
    assert not (tmp_path / "mine.db").exists()


def test_server_without_tls_is_refused_when_asked_for(team, tmp_path):
    code, _, said = pull(team("reader") + "?sslmode=require", tmp_path / "mine.db")
    assert code == 1
    assert "server does not support SSL" in said
    assert said.count("\n") == 1


def test_no_server(tmp_path):
    code, _, said = pull("postgresql://127.0.0.1:1/x", tmp_path / "mine.db")
    assert code == 1
    assert said.startswith("error: the tuning server cannot be used: connection to")


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (
            "DELETE FROM opencompiler.version",
            "the tuning server has no tables yet: `opencompiler db push --migrate` makes them",
        ),
        (
            "UPDATE opencompiler.version SET number = 99",
            "the tuning server's tables are of version 99, this program knows 2: use a newer OpenCompiler",
        ),
    ],
)
def test_schema_of_another_version(server, team, tmp_path, version, message):
    server.sql(team.database, version)
    for verb in ("push", "pull"):
        role = "writer" if verb == "push" else "reader"
        code, _, said = db(verb, team(role), "--db", shared(tmp_path, 0))
        assert (code, said) == (1, f"error: {message}\n")
