"""What the campaign's children are given in its tests: one case of every outcome."""

import os
import time

from benchmarks.reliability.tally import Outcome, Verdict

from audioxai.utils.errors import UserError


def act(case: str) -> Outcome:
    if case == "hangs":
        time.sleep(60)
    if case == "dies":
        os._exit(3)
    if case == "refuses":
        raise UserError("the thing is 3; give 4")
    if case == "says nothing":
        raise UserError(" ")
    if case == "raises":
        raise ZeroDivisionError
    if case == "takes all memory":
        bytes(1 << 40)
    return Outcome(Verdict.WRONG, "3 instead of 4") if case == "is wrong" else Outcome(Verdict.USED)


def process_number(_: int) -> Outcome:
    return Outcome(Verdict.USED, f"{os.getpid()}")
