"""Receivers as hostile as they come, each with what has to come of a meeting with it."""

from tests.support.zoo.cage import Animal, Behaviour, Cage, Visit, cage
from tests.support.zoo.confusing import CONFUSING
from tests.support.zoo.flooding import FLOODING
from tests.support.zoo.leaving import LEAVING
from tests.support.zoo.luring import LURING
from tests.support.zoo.stalling import STALLING

ZOO = (*CONFUSING, *FLOODING, *LEAVING, *LURING, *STALLING)

__all__ = ["FLOODING", "ZOO", "Animal", "Behaviour", "Cage", "Visit", "cage"]
