"""The process that workers are forked from, with TensorFlow imported.

    python -m export.foreman

imports it, says so, and takes orders, a line of JSON each on standard input. For each
it forks a worker, tells its process number, waits for its end and tells how it ended. It ends
itself when its standard input does, which is when whoever gives the orders has ended, however that
came; a worker that is still at work then is killed.

Importing TensorFlow takes longer than converting a student does. A fork has it at once, and is as
well contained as a process that starts from nothing: what it breaks, it breaks for itself. It is
safe since nothing but numerical libraries' idle threads, which can be forked, runs here: TensorFlow
starts its own with the first operation, which happens in workers alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import runpy
import select
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from baseline.errors import InputError


def main() -> None:
    """Import TensorFlow, then fork workers as they are ordered."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the workers, and for who ordered
    with _ended_by_hangup():
        import baseline.keras  # noqa: F401
    _tell(True)
    for line in sys.stdin:
        order = json.loads(line)
        over, at_work = os.pipe()  # nothing is written: the one end closes when the worker ends
        process = os.fork()
        if not process:
            _work(order)
        os.close(at_work)
        with suppress(BrokenPipeError):  # then its end of the other pipe is closed, too
            _tell(process)
        ready, _, _ = select.select([sys.stdin, over], [], [])
        if sys.stdin in ready:  # nobody gives orders while one is carried out: it has ended
            os.kill(process, signal.SIGKILL)
            return
        os.close(over)
        _, status = os.waitpid(process, 0)
        _tell(os.waitstatus_to_exitcode(status))


@contextmanager
def _ended_by_hangup() -> Iterator[None]:
    """Have the system end this process as soon as standard input is closed, while it cannot look.

    Importing takes seconds, and nobody says anything before it is over: what happens to the pipe
    meanwhile is its end, and the signal that Linux sends for it ends who does not handle it.
    """
    flags = fcntl.fcntl(0, fcntl.F_GETFL)
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, flags | os.O_ASYNC)
    if select.select([0], [], [], 0)[0]:  # it was closed before
        os._exit(0)
    yield
    fcntl.fcntl(0, fcntl.F_SETFL, flags)


def _tell(what: int | bool) -> None:
    print(json.dumps(what), flush=True)


def _work(order: dict[str, Any]) -> None:
    """Be the worker: run its module as a program, and end."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        said = os.open(order["errors"], os.O_WRONLY | os.O_APPEND)
        for descriptor, target in ((nothing, 0), (nothing, 1), (said, 2)):
            os.dup2(descriptor, target)
        os.environ.clear()
        os.environ.update(order["environment"])
        os.chdir(order["folder"])
        sys.path[:0] = [place for place in order["path"] if place not in sys.path]
        resource.setrlimit(resource.RLIMIT_AS, (order["memory"], order["memory"]))
        sys.argv = [order["module"], *order["arguments"]]
        runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except InputError as error:
        print(error, file=sys.stderr)
    except BaseException:  # whatever it was, this process must not go on as the foreman
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
