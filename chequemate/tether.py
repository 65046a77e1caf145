"""`tether.py SECONDS COMMAND…`: becomes the command, beside a guard that ends it when standard input closes.

Only who started it holds the other end of that pipe, and the kernel closes it however its holder ends, by SIGKILL too.
The guard signals its own process group and nothing else. The system does not reuse a group's number while a process is
in the group, and the guard is in it: no stranger can be hit, whichever pids are reused meanwhile.
"""

import os
import signal
import sys
import time


def guard(leader: int, patience: float) -> None:
    """Wait for the end of the pipe, ask the group to end, and after `patience` seconds make it, itself included."""
    # It must outlive what it sends to its own group, and a Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 1):
        pass
    os.kill(0, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while os.getppid() == leader and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(0, signal.SIGKILL)  # what the leader left behind, too


if __name__ == "__main__":
    patience, command = float(sys.argv[1]), sys.argv[2:]
    leader = os.getpid()
    if os.fork():
        # The program stays the child of who started it: its pid and its exit code are what they seem.
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.execvp(command[0], command)
    guard(leader, patience)
