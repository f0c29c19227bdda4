"""Plays scenarios with Python's transaction package and prints what happened.

Reads a JSON list of scenarios from standard input; each is a list of operations. Prints a JSON list of logs.
"""
import json
import logging
import sys
import warnings

import transaction
from transaction import TransactionManager

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")


class Fault(Exception):
    pass


class Recorder:
    def __init__(self, name, log, fails):
        self.name = name
        self.log = log
        self.fails = fails

    def step(self, step, detail=""):
        self.log.append("%s.%s%s" % (self.name, step, detail))
        if step in self.fails:
            raise Fault(step)

    def abort(self, txn):
        # A savepoint rolled back twice aborts again who has left with the first rollback: not compared.
        if any(resource is self for resource in txn._resources):
            self.step("abort")

    def tpc_begin(self, txn):
        self.step("tpcBegin")

    def commit(self, txn):
        self.step("commit")

    def tpc_vote(self, txn):
        self.step("tpcVote")

    def tpc_finish(self, txn):
        self.step("tpcFinish")

    def tpc_abort(self, txn):
        self.step("tpcAbort")

    def sortKey(self):
        return self.name


class SavepointRecorder(Recorder):
    count = 0

    def savepoint(self):
        self.count += 1
        number = self.count
        self.step("savepoint")

        class State:
            def rollback(state):
                self.step("rollback", " %d" % number)

        return State()


class Synchronizer:
    def __init__(self, log):
        self.log = log

    def newTransaction(self, txn):
        self.log.append("s.newTransaction")

    def beforeCompletion(self, txn):
        self.log.append("s.beforeCompletion")

    def afterCompletion(self, txn):
        self.log.append("s.afterCompletion")


MOMENTS = {
    "BeforeCommit": "addBeforeCommitHook",
    "AfterCommit": "addAfterCommitHook",
    "BeforeAbort": "addBeforeAbortHook",
    "AfterAbort": "addAfterAbortHook",
}


def play(scenario):
    log = []
    manager = TransactionManager()
    synchronizer = Synchronizer(log)
    manager.registerSynch(synchronizer)
    savepoints = []

    def hook(label, fails):
        def call(*args):
            log.append("hook %s%s" % (label, "".join(" %s" % str(arg).lower() for arg in args)))
            if fails:
                raise Fault("hook")
        return call

    for operation in scenario:
        name, args = operation[0], operation[1:]
        try:
            if name == "join":
                kind = SavepointRecorder if args[1] else Recorder
                manager.get().join(kind(args[0], log, args[2]))
            elif name == "hook":
                getattr(manager.get(), MOMENTS[args[0]])(hook(args[1], args[2]), (args[3],))
            elif name == "savepoint":
                savepoints.append(manager.savepoint(args[0]))
            elif name == "rollback":
                if manager.get().status == "Commit failed":
                    continue
                if args[0] < len(savepoints):
                    savepoints[args[0]].rollback()
            elif name == "note":
                manager.get().note(args[0])
            elif name == "setUser":
                manager.get().setUser(*args)
            else:
                getattr(manager, name)()
            outcome = "ok"
        except Fault as fault:
            outcome = "fault %s" % fault
        except Exception as error:
            outcome = "refused" if name == "doom" else type(error).__name__
        txn = manager.get()
        log.append("%s: %s, %s" % (name, outcome, txn.status))
        log.append("%s|%s|%s" % (txn.user, txn.description, [sp.valid for sp in savepoints].count(True)))
    return log


# Since 3.0.1 an error in a before-commit hook stops the commit.
def stops():
    manager = TransactionManager()

    def fail():
        raise Fault

    manager.get().addBeforeCommitHook(fail)
    try:
        manager.commit()
    except Fault:
        return True
    return False


if sys.argv[1:] == ["probe"]:
    print(json.dumps({"beforeCommitHooksStop": stops()}))
else:
    print(json.dumps([play(scenario) for scenario in json.load(sys.stdin)]))
