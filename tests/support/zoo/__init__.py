"""Receivers as hostile as they come, each with what has to come of a meeting with it."""

from tests.support.zoo.cage import Animal, Behaviour, Cage, Visit, cage
from tests.support.zoo.confusing import CONFUSING
from tests.support.zoo.flooding import FLOODING
from tests.support.zoo.leaving import LEAVING
from tests.support.zoo.luring import LURING
from tests.support.zoo.stalling import STALLING
from tests.support.zoo.ugly import UGLY

ZOO = (*CONFUSING, *FLOODING, *LEAVING, *LURING, *STALLING, *UGLY)

__all__ = ["FLOODING", "UGLY", "ZOO", "Animal", "Behaviour", "Cage", "Visit", "cage"]
