"""The stand-in for X: scripted timelines, both contracts, fault injection.

``docs/simulator.md`` is the page for people who test their own programs against it.
"""

from notifier.simulator.app import create_simulator
from notifier.simulator.behaviour import Behaviour, Buckets, Ending
from notifier.simulator.contracts import Contract
from notifier.simulator.files import bundled_scenarios, load_scenario, read_behaviour
from notifier.simulator.limits import Limits
from notifier.simulator.scenario import Scenario

__all__ = [
    "Behaviour",
    "Buckets",
    "Contract",
    "Ending",
    "Limits",
    "Scenario",
    "bundled_scenarios",
    "create_simulator",
    "load_scenario",
    "read_behaviour",
]
