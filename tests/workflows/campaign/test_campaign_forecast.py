"""The time left of a campaign on a simulated clock, against what it turned out to be."""

import math
import random
from dataclasses import dataclass

import pytest

from superionic.progress import Progress
from superionic.text import duration
from superionic.workflows.campaign.forecast import Forecast

PLANNED = 10_000


@dataclass
class Crystal:
    """Work that is announced, and what it turns out to take."""

    work: float
    prepare_s: float
    landscape_s: float
    true_energies: int = PLANNED

    def at(self, passed_s):
        if passed_s < self.prepare_s:
            return Progress("relaxing")
        done = int(self.true_energies * (passed_s - self.prepare_s) / self.landscape_s)
        # The plan is a guess, raised as it is in a landscape that is flooded.
        return Progress("landscape", done, max(PLANNED, done + done // 3))


def run(crystals, n_workers, step_s=1.0):
    """Return the end, and at each step the time, the time left that was said, and the share."""
    now = 0.0
    works = {str(i): one.work for i, one in enumerate(crystals)}
    forecast = Forecast(works, clock=lambda: now)
    queue, running, seen = list(enumerate(crystals)), {}, []
    while queue or running:
        while queue and len(running) < n_workers:
            i, one = queue.pop(0)
            running[i] = (now, one)
            forecast.started(str(i))
        now += step_s
        for i, (start, one) in list(running.items()):
            if now - start >= one.prepare_s + one.landscape_s:
                forecast.finished(str(i))
                del running[i]
            else:
                forecast.progress(str(i), one.at(now - start))
        if running:
            seen.append((now, forecast.left_s, forecast.share))
    assert forecast.left_s == 0
    assert forecast.share == 1
    return now, seen


def crystals(n, seed, overhead_s=20.0):
    """Return crystals of works over four orders of magnitude, small ones first."""
    chance = random.Random(seed)
    works = sorted(10 ** chance.uniform(3, 7) for _ in range(n))
    return [
        Crystal(
            work,
            prepare_s=overhead_s * chance.uniform(0.2, 1),
            landscape_s=2e-4 * work * math.exp(chance.gauss(0, 0.6)) + 1,
        )
        for work in works
    ]


@pytest.mark.parametrize("n_workers", [1, 4])
def test_what_is_said_is_near_what_comes(n_workers):
    good, n = 0, 0
    for seed in range(8):
        end, seen = run(crystals(20, seed), n_workers, step_s=5.0)
        said = [(end - now, left) for now, left, _ in seen if left is not None]
        assert len(said) > 0.8 * len(seen)
        assert max(left for _, left in said) < 10 * end, "no fantastic times, even at first"
        late = said[len(said) // 3 :]
        good += sum(true / 3 - 15 < left < 3 * true + 15 for true, left in late)
        n += len(late)
    assert good > 0.85 * n


def test_what_loading_and_compiling_take_is_not_multiplied():
    """The first crystal of each process waits for them; large ones would not take longer for it."""
    small = [Crystal(1e3, prepare_s=1, landscape_s=2) for _ in range(4)]
    large = [Crystal(1e6, prepare_s=1, landscape_s=60) for _ in range(8)]
    for one in small[:2]:
        one.prepare_s = 100
    end, seen = run([*small, *large], 2)
    assert all(left < 2 * end for _, left, _ in seen if left is not None)


@pytest.mark.parametrize("n_workers", [1, 3])
def test_the_share_does_not_stand_at_its_end_while_a_crystal_runs(n_workers):
    # The last one takes twenty times what its work promises, and four times the energies.
    slow = Crystal(1e6, prepare_s=300, landscape_s=1500, true_energies=4 * PLANNED)
    end, seen = run([*crystals(8, seed=3)[:5], slow], n_workers)
    assert all(share < 0.9 for now, _, share in seen if end - now > 400)
    assert all(left > 60 for now, left, _ in seen if left is not None and end - now > 600)


def test_nothing_is_said_before_something_is_known():
    now = 0.0
    forecast = Forecast({"a": 1.0, "b": 5.0, "c": 2.0}, clock=lambda: now)
    assert (forecast.left_s, forecast.share) == (None, 0.0)
    forecast.started("a")
    now = 30.0
    forecast.progress("a", Progress("relaxing"))
    assert forecast.left_s is None
    forecast.finished("a")
    assert forecast.left_s is None, "one crystal may have compiled code most of its time"
    forecast.started("b")
    now = 40.0
    forecast.progress("b", Progress("landscape", 0, 100))
    now = 60.0
    forecast.progress("b", Progress("landscape", 50, 100))
    assert forecast.left_s is None, "nor is it known what c takes on a process that is warm"
    now = 80.0
    forecast.finished("b")
    forecast.started("c")
    # The work of c is between those of a and b; b has taken 50 s.
    assert 20 < forecast.left_s < 60
    assert Forecast({}).share == 1.0


def test_times_are_said_as_coarsely_as_they_are_known():
    assert [duration(s) for s in (0.4, 59, 61, 5000, 5500, 1e5, 1e6)] == [
        *("0 s", "59 s", "1 min", "83 min", "2 h", "28 h", "12 days"),
    ]
