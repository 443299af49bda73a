"""One round: put the base back, begin an operation, hurt it while people go on, let all of it end, look at everything."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.drills.everything.hits import HITS, KILLS, NEEDS_A_HAND, Target
from tests.drills.everything.oracle import Check, facts_of, what_is
from tests.drills.everything.people import Journal
from tests.drills.everything.scenarios import PEOPLE, Round, Scenario, edit_outside, move_outside
from tests.drills.everything.world import Child, World

PATIENCE_SECONDS = 90.0
FOR_A_SCAN = (" changed", " file_gone", " not_read_yet")
"""Codes of writes that wait for the next scan, which the schedule starts in time."""
POLICIES = {"file": 6.0, "sidecar": 2.0, "database": 2.0}


@dataclass
class Outcome:
    """What a round did, and what it lost."""

    scenario: str
    seed: str
    policy: str
    hits: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """Until the operation began, until people stopped, until all was at its end, until it was looked at."""
    happened: list[str] = field(default_factory=list)
    """What people and the product did to the photos of which something was lost."""

    def __str__(self) -> str:
        words = f"{self.scenario} {self.seed} ({self.policy}; {', '.join(self.hits)}) {self.seconds}"
        return words if not self.lost else "\n    ".join([f"LOST: {words}", *self.lost[:12], *self.happened])


def run_round(
    world: World, scenario: Scenario, seed: str, hits: int, faults: Sequence[str], policies: Sequence[str]
) -> Outcome:
    """Run one round with so many hits; what it lost is in the outcome."""
    from django.conf import settings

    randomness = random.Random(f"{seed}-{scenario.name}")
    possible = [name for name in policies if name in scenario.policies] or scenario.policies
    (policy,) = randomness.choices(possible, [POLICIES[name] for name in possible])
    outcome = Outcome(scenario.name, seed, policy)
    began = time.monotonic()

    def note_time() -> None:
        outcome.seconds.append(round(time.monotonic() - began, 1))

    world.reset(policy)
    one = Round(world, what_is(world), randomness)
    scenario.prepare(one)
    settings.SCAN_WORKERS = scenario.assistants
    hand = False
    try:
        world.keep_running()
        if scenario.assistants > 1:
            world.start_worker()
        note_time()
        people = one.person("people")
        others = [world.fork("people", lambda: people.live(scenario.people, 0.15))]
        if meanwhile := scenario.meanwhile:
            others.append(world.fork("meanwhile", lambda: meanwhile(one)))
        for number in range(hits):
            name = choose(randomness, faults)
            if hit_once(one, scenario, name, f"web{number}"):
                outcome.hits.append(name)
                hand = hand or name in NEEDS_A_HAND
        note_time()
        outcome.lost += settle(world, others, hand=hand)
        if scenario.name == "export":
            outcome.lost += export_again(one, scenario)
        note_time()
        check = Check(world, one.known)
        outcome.lost += check.run()
        outcome.happened = check.what_happened()
        note_time()
    except AssertionError as wrong:
        outcome.lost.append(str(wrong))
    finally:
        if not world.is_mounted:
            world.mount()
        world.end_processes()
    return outcome


def run_clients(world: World, seed: str, seconds: float, policy: str) -> Outcome:
    """Let four people work on 50 photos for so long, beside scans, edits and moves from outside, and kills."""
    randomness = random.Random(f"{seed}-clients")
    outcome = Outcome("clients", seed, policy)
    world.reset(policy)
    one = Round(world, what_is(world), randomness, number=1)
    try:
        world.keep_running()
        persons = [one.person(f"client{number}") for number in range(4)]
        others = [world.fork(person.name, lambda person=person: person.live(PEOPLE, 0.3)) for person in persons]
        others += [world.fork(work.__name__, lambda work=work: work(one)) for work in (move_outside, edit_outside)]
        target = Target(world, ("scan", "write"), None, randomness)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            world.call(_ask_for_a_scan)
            time.sleep(randomness.uniform(0.2, 3.0))
            name = choose(randomness, KILLS)
            if HITS[name][0](target):
                outcome.hits.append(name)
            time.sleep(randomness.uniform(0.0, 1.0))
            world.reap()
            world.keep_running()
        outcome.lost += settle(world, others, hand=False)
        check = Check(world, one.known)
        outcome.lost += check.run()
        outcome.happened = check.what_happened()
    except AssertionError as wrong:
        outcome.lost.append(str(wrong))
    finally:
        world.end_processes()
    return outcome


def choose(randomness: random.Random, faults: Sequence[str]) -> str:
    """Return one of the faults, the frequent ones more often."""
    return randomness.choices(faults, [HITS[name][1] for name in faults])[0]


def hit_once(one: Round, scenario: Scenario, name: str, web_name: str) -> bool:
    """Begin the operation if it is not under way, and strike a moment later; return whether anything was struck."""
    world = one.world
    web: Child | None = None
    if scenario.is_web:
        person = one.person(web_name)

        def ask() -> None:
            while not world.shared.is_over:
                person.trash(6)
                person.restore(6)

        web = world.fork("web", ask)
    target = Target(world, scenario.kinds, web, one.randomness)
    struck = False
    for _ in range(3):
        world.keep_running()
        if target.process() is None:
            scenario.begin(one)
        wait_for(target)
        time.sleep(one.randomness.uniform(0.0, scenario.spread_seconds))
        struck = HITS[name][0](target)
        world.reap()
        if struck:
            break
    if web is not None:
        time.sleep(0.3)
        web.kill_all()
        web.wait(5.0)
        Journal(world.journal).note(killed=web_name)
    time.sleep(one.randomness.uniform(0.0, 0.5))  # people go on while nobody works
    world.keep_running()
    return struck


def wait_for(target: Target) -> None:
    """Return when the operation has a process, or would have had one long ago."""
    until = time.monotonic() + 8.0
    while target.process() is None and time.monotonic() < until:
        time.sleep(0.01)


def settle(world: World, others: list[Child], *, hand: bool) -> list[str]:
    """Let people stop and everything come to its end, then scan until a scan finds nothing; return what did not end."""
    world.shared.is_over = True
    for child in others:
        if not child.wait(30.0):
            child.kill_all()
            return [f"{child.name} did not end: {world.said()}"]
    open_ = wait_until_nothing_is_open(world, hand=hand)
    for _ in range(4):
        if open_:
            return [f"not at its end after {PATIENCE_SECONDS:.0f} s: {open_}\n{world.said(1500)}"]
        before = revision()
        world.call(_ask_for_a_scan)
        open_ = wait_until_nothing_is_open(world, hand=hand)
        if revision() == before and not what_is_open():
            break
    if world.schedule:
        world.schedule.kill_all()  # it would start a writer again and again for what waits for a photo in the trash
        world.schedule.wait(5.0)
    until = time.monotonic() + PATIENCE_SECONDS
    while active() and time.monotonic() < until:
        time.sleep(0.05)
    for worker in world.workers:
        worker.kill_all()
    return [f"not at its end: {open_}"] if open_ else []


def active() -> bool:
    """Tell whether any operation is under way or waits for a worker."""
    from operations.models import Operation

    return Operation.objects.filter(state__in=["pending", "running"]).exists()


def revision() -> int:
    """Return the library's revision: a scan that finds nothing leaves it."""
    from catalog.models import Library

    return Library.objects.get().revision


def _ask_for_a_scan() -> None:
    from catalog.models import Library
    from catalog.scanning.requests import start_scan
    from operations.running import AlreadyActive

    library = Library.objects.get()
    try:
        start_scan(library, library.owner)
    except AlreadyActive:
        pass


def wait_until_nothing_is_open(world: World, *, hand: bool) -> list[str]:
    """Wait until no work waits; with `hand` what failed is retried, as by a person. Return what is open still."""
    began = time.monotonic()
    until = began + PATIENCE_SECONDS
    retried = 0
    while True:
        world.keep_running()
        world.reap()
        open_ = what_is_open()
        if any(not sentence.endswith(FOR_A_SCAN) and not sentence.startswith("write is") for sentence in open_):
            began = time.monotonic()
        elif open_ and time.monotonic() > began + 5.0 and any(one.endswith(FOR_A_SCAN) for one in open_):
            return []  # tried again and again: the next scan has to come
        if not open_:
            if hand and retried < 5 and failed():
                retried += 1
                world.call(_retry_all)
                continue
            return []
        if time.monotonic() > until:
            return open_
        time.sleep(0.1)


def what_is_open() -> list[str]:
    """Return what the rows say is still to be done."""
    from catalog.importing.requests import waiting
    from catalog.models import FileWrite, TrashItem
    from operations.models import Operation, State

    active = Operation.objects.filter(state__in=["pending", "running"])
    queue = FileWrite.objects.filter(state__in=["pending", "writing"]).exclude(photo__state="missing")
    halves = TrashItem.objects.exclude(state__in=["trashed"])
    requests = waiting() if not Operation.objects.filter(kind="import", state=State.FAILED, superseded=False) else ()
    return [
        *(f"{one.kind} is {one.state}" for one in active),
        *(f"{one.kind} of {one.photo_id} is {one.state} {one.code}" for one in queue),
        *(f"trash item {one.pk} is {one.state}" for one in halves),
        *(f"import {one.pk} waits" for one in requests),
    ]


def failed() -> bool:
    """Tell whether anything waits for a person."""
    from catalog.importing.requests import AGAIN
    from catalog.models import FileWrite, ImportItem
    from operations.models import Operation

    return (
        Operation.objects.filter(state__in=["failed", "interrupted"], superseded=False).exists()
        or FileWrite.objects.filter(state="failed").exists()
        or ImportItem.objects.filter(state="rejected", code__in=AGAIN).exists()
    )


def _retry_all() -> None:
    from catalog.files import queue
    from catalog.importing import requests
    from catalog.models import FileWrite, Import
    from operations.control import NotPossible, resume
    from operations.models import Operation
    from operations.running import AlreadyActive

    for operation in Operation.objects.filter(state__in=["failed", "interrupted"], superseded=False):
        try:
            resume(operation)
        except (NotPossible, AlreadyActive):
            pass
    for write in FileWrite.objects.filter(state="failed"):
        queue.retry(write, write.library.owner)
    for wanted in Import.objects.filter(items__state="rejected", items__code__in=requests.AGAIN).distinct():
        requests.retry(wanted, wanted.user)


def export_again(one: Round, scenario: Scenario) -> list[str]:
    """Export once more, undisturbed; return which photos are not in the destination then, or not whole."""
    scenario.begin(one)
    if open_ := wait_until_nothing_is_open(one.world, hand=False):
        return open_
    from catalog.models import Photo

    lost, there = [], set()
    for path in one.world.exported.rglob("*"):
        if path.suffix.lower() == ".jpg":
            try:
                there.add(facts_of(path.read_bytes()))
            except OSError as error:
                lost.append(f"exported {path.name} is not whole: {error}")
        elif path.is_file() and not path.is_relative_to(one.world.exported / "ExportRecords"):
            lost.append(f"left behind in the destination: {path.relative_to(one.world.exported)}")
    for photo in Photo.objects.exclude(state="missing"):
        picture, _, _ = facts_of((one.world.photos / photo.path).read_bytes())
        if picture not in {pixels for pixels, _, _ in there}:
            lost.append(f"{photo.path} was not exported")
    return lost
