"""The table of `tune` on a real pseudo-terminal, and the lines that take its place elsewhere."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest
from harness import CLI, CLS, CLS_SHAPE

ROWS, COLUMNS = 12, 90
FRAME_END = b"\x1b[J"
SEQUENCE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


class Screen:
    """As much of a terminal as the table needs: it wraps, scrolls and knows a few sequences, and refuses all others."""

    def __init__(self):
        self.rows, self.columns = ROWS, COLUMNS
        self.lines, self.row, self.column = [""], 0, 0
        self.styles = set()

    def feed(self, text):
        at = 0
        while at < len(text):
            if found := SEQUENCE.match(text, at):
                self.sequence(found[1], found[2])
                at = found.end()
                continue
            self.character(text[at])
            at += 1

    def character(self, c):
        if c == "\r":
            self.column = 0
        elif c == "\n":
            self.row += 1
            self.lines += [""] * (self.row + 1 - len(self.lines))
        else:
            assert c.isprintable(), f"{c!r} reached the terminal"
            assert self.column < self.columns, "a line was wrapped"
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + c + line[self.column + 1 :]
            self.column += 1

    def sequence(self, number, what):
        if what == "A":
            self.row -= int(number)
            assert self.row >= max(0, len(self.lines) - self.rows), "above the screen"
        elif what == "K":
            self.lines[self.row] = self.lines[self.row][: self.column]
        elif what == "J":
            self.lines[self.row] = self.lines[self.row][: self.column]
            del self.lines[self.row + 1 :]
        else:
            assert what == "m", f"CSI {number}{what}"
            self.styles.add(number)

    def resize(self, rows, columns):
        """Lines that no longer fit are wrapped, as terminals do that keep all text in sight."""
        wrapped = []
        for line in self.lines:
            wrapped += [
                line[at : at + columns] for at in range(0, max(1, len(line)), columns)
            ]
        self.rows, self.columns, self.lines = rows, columns, wrapped
        self.row, self.column = len(wrapped) - 1, len(wrapped[-1])

    def text(self):
        return [line.rstrip() for line in self.lines]


class Terminal:
    """A tuner on a terminal of its own, which Ctrl-C reaches."""

    def __init__(self, database, *more, **environment):
        self.master, inside = pty.openpty()
        self.screen, self.frames, self.rest = Screen(), [], b""
        self.set_size(ROWS, COLUMNS)
        flags = (*CLS_SHAPE, "--threads", "1", "--db", database, *more)
        self.process = subprocess.Popen(
            ["setsid", "--ctty", CLI, "tune", CLS, *flags],
            stdin=inside,
            stdout=subprocess.PIPE,
            stderr=inside,
            text=True,
            env={**os.environ, "TERM": "xterm", **environment},
        )
        os.close(inside)

    def set_size(self, rows, columns):
        self.screen.resize(rows, columns)
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)

    def resize(self, rows, columns):
        """Between two frames, so that none is under way that was made for the old size."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)
        while select.select([self.master], [], [], 0)[0]:
            self.read()
        self.set_size(rows, columns)
        self.process.send_signal(signal.SIGCONT)

    def read(self):
        self.rest += os.read(self.master, 1 << 16)
        while FRAME_END in self.rest:
            frame, _, self.rest = self.rest.partition(FRAME_END)
            self.screen.feed((frame + FRAME_END).decode())
            self.frames.append(self.screen.text())

    def follow(self, until, seconds=120):
        """Shows frames, whole ones, until `until(screen)` holds or the tuner ends."""
        deadline = time.monotonic() + seconds
        while not until(self.screen):
            assert time.monotonic() < deadline, self.screen.text()
            if not select.select([self.master], [], [], 0.2)[0]:
                continue
            try:
                self.read()
            except OSError:  # EIO: nobody has the other end any more
                self.screen.feed(self.rest.decode())
                return

    def end(self):
        self.follow(lambda _: False)
        said = self.process.communicate()[0]
        os.close(self.master)
        return said


def totals(screen):
    """Trials in the last line of the table; 0 while there is none."""
    found = re.match(r"(\d+) trials ", screen.lines[-1])
    return int(found[1]) if found else 0


def test_a_table_that_stays_in_its_place_and_makes_room_for_the_report(tmp_path):
    terminal = Terminal(tmp_path / "t.db", "--trials", "30")
    terminal.follow(lambda screen: totals(screen) > 3)
    first = terminal.screen.text()
    assert len(first) == ROWS
    assert re.match(r"kernel +× +first +best limit trials state$", first[0])
    assert re.match(r"… and \d+ more$", first[-2])
    assert re.match(
        r"\d+ trials  \d+ s \(ETA \d+ s\)  model [\d.]+ ms -> [\d.]+ ms$", first[-1]
    )
    said = terminal.end()
    assert terminal.process.returncode == 0
    assert max(map(len, terminal.frames)) == ROWS, "nothing scrolled"
    assert terminal.screen.text() == [""], "the table has made room"
    assert terminal.screen.styles >= {"1", "0"}
    assert said.endswith(f"kept in {tmp_path / 't.db'}\n")
    assert "30 trials " in said
    assert "\x1b" not in said


def test_a_terminal_that_changes_its_size(tmp_path):
    terminal = Terminal(tmp_path / "t.db", "--time", "10m", NO_COLOR="1")
    terminal.follow(lambda screen: totals(screen) > 0)
    for rows, columns in ((6, COLUMNS), (20, 40), (ROWS, 100)):
        terminal.resize(rows, columns)
        before = len(terminal.frames)
        terminal.follow(lambda _, seen=before: len(terminal.frames) > seen)
        lines = terminal.screen.text()[-rows:]  # in sight
        assert len(lines) == rows
        assert lines[0].startswith("kernel"), lines
        assert lines[-1].startswith(f"{totals(terminal.screen)} trials")
    os.write(terminal.master, b"\x03")
    said = terminal.end()
    assert terminal.process.returncode == 0
    assert terminal.screen.text()[-2:] == [
        "stopped; run the same command again to go on",
        "",
    ]
    assert not terminal.screen.styles
    assert "kept in" in said


@pytest.mark.parametrize("kind", ["dumb", ""])
def test_a_terminal_that_cannot_move_its_cursor_gets_lines(tmp_path, kind):
    terminal = Terminal(tmp_path / "t.db", "--trials", "3", TERM=kind)
    terminal.set_size(ROWS, 200)
    terminal.end()
    assert terminal.process.returncode == 0
    assert re.match(r"1 trials  \d+ s \(ETA \d+ s\)  model ", terminal.screen.lines[0])
    assert not terminal.screen.styles
