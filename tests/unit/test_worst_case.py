"""The maximum cost of a question, and the part that the remaining budget allows."""

from __future__ import annotations

import pytest

from notifier.core.model.ids import SpaceId
from notifier.core.model.observation import People
from notifier.core.model.poll import DuePoll, Urgency
from notifier.core.model.space import Space
from notifier.core.polling.batching import of_one_kind
from notifier.core.polling.worst_case import (
    NEW_SPACES,
    NEWCOMERS,
    UNKNOWN_PEOPLE,
    Choice,
    CostEstimate,
    Paid,
    choose,
    mills,
    of_creator,
    of_name,
    of_result,
    of_space,
    precedence,
    without_users,
)

URGENT, PATIENT = Urgency
NOBODY, CREATOR, ON_STAGE, WITH_GUESTS = People
S1 = SpaceId("S1")
FULL = Space(
    id=S1, creator_id="1", host_ids=("1", "2"), speaker_ids=("2", "3"), invited_user_ids=("3", "4", "5")
)


def costs(estimate: CostEstimate) -> list[int]:
    """Return the maximum cost of a subject for each level of people."""
    return [mills([estimate], people) for people in People]


class TestALookup:
    def test_of_an_unknown_space_may_show_two_hundred_people(self) -> None:
        assert costs(of_space("S1", None, Paid(), URGENT)) == [5, 15, 2005, 2005]

    def test_of_a_known_space_may_show_known_people_and_more(self) -> None:
        assert costs(of_space("S1", FULL, Paid(), URGENT)) == [5, 15, 2005, 2005]
        crowd = Space(id=S1, creator_id="0", speaker_ids=tuple(str(each) for each in range(210)))
        assert costs(of_space("S1", crowd, Paid(), URGENT)) == [5, 15, 2235, 2235]

    def test_of_a_space_with_people_billed_today_may_show_a_limited_number_of_new_people(self) -> None:
        paid = Paid(spaces={"S1"}, users={"1", "2", "3"}, with_people={"S1"})
        assert costs(of_space("S1", FULL, paid, URGENT)) == [0, 0, 10 * NEWCOMERS, 10 * (NEWCOMERS + 2)]

    def test_of_a_billed_space_is_free_without_people_even_if_its_creator_was_never_described(self) -> None:
        """X does not describe a suspended account, so it cannot have been billed."""
        assert costs(of_space("S1", FULL, Paid(spaces={"S1"}), URGENT))[:2] == [0, 0]
        assert costs(of_space("S1", None, Paid(spaces={"S1"}), URGENT))[:2] == [0, 0]

    def test_of_a_space_with_an_unknown_creator_may_show_one(self) -> None:
        assert costs(of_space("S1", Space(id=S1), Paid(users={"1"}), URGENT)) == [5, 15, 2005, 2005]


class TestAQuestionAboutCreators:
    def test_may_show_a_limited_number_of_new_spaces_per_creator(self) -> None:
        assert costs(of_creator("1", [], Paid()))[:2] == [5 * NEW_SPACES, 5 * NEW_SPACES + 10]
        assert costs(of_creator("1", [], Paid(users={"1"})))[1] == 5 * NEW_SPACES

    def test_may_show_people_in_each_of_them(self) -> None:
        assert costs(of_creator("1", [], Paid()))[2] == NEW_SPACES * (5 + 10 * UNKNOWN_PEOPLE) + 10

    def test_shows_the_known_ones_again_after_midnight(self) -> None:
        known = [FULL, Space(id=SpaceId("S2"), creator_id="1")]
        assert costs(of_creator("1", known, Paid()))[:2] == [5 * (2 + NEW_SPACES), 5 * (2 + NEW_SPACES) + 10]
        paid = Paid(spaces={"S1", "S2"}, users={"1"})
        assert costs(of_creator("1", known, paid))[:2] == [5 * NEW_SPACES] * 2


def test_each_search_result_may_be_new_and_by_another_creator() -> None:
    assert costs(of_result()) == [5, 15, 2015, 2015]
    assert mills([of_result()] * 100, CREATOR) == 1500


def test_each_name_may_be_a_different_user() -> None:
    assert mills([of_name()] * 7, CREATOR) == 70


def test_people_of_several_subjects_are_billed_once() -> None:
    both = [of_space(each, FULL, Paid(spaces={"S1", "S2"}), URGENT) for each in ("S1", "S2")]
    assert mills(both, ON_STAGE) == 10 * (3 + 2 * (UNKNOWN_PEOPLE - 3))


def test_people_cost_nothing_where_x_does_not_bill_them() -> None:
    assert costs(without_users(of_space("S1", None, Paid(), URGENT))) == [5, 5, 5, 5]


def lookups(*, new: int = 0, seen: int = 0, urgency: Urgency = URGENT) -> list[CostEstimate]:
    """Return estimates for unknown Spaces, and for Spaces billed with their people."""
    known = [Space(id=SpaceId(f"K{each}"), creator_id="1", host_ids=("1",)) for each in range(seen)]
    ids = {space.id for space in known}
    paid = Paid(spaces=ids, users={"1"}, with_people=ids)
    unknown = [of_space(f"N{each}", None, paid, urgency) for each in range(new)]
    return sorted([*unknown, *(of_space(each.id, each, paid, urgency) for each in known)], key=precedence)


class TestTheChoice:
    def test_is_complete_while_the_budget_lasts(self) -> None:
        assert choose(lookups(seen=4), ON_STAGE, used=0, budget=1) == Choice(4, ON_STAGE, 520, 900)
        assert choose(lookups(seen=4), CREATOR, used=5000, budget=1) == Choice(4, CREATOR, 0, 1000)

    def test_drops_people_before_it_drops_spaces(self) -> None:
        assert choose(lookups(seen=40), ON_STAGE, used=0, budget=1) == Choice(40, CREATOR, 0, 1000)
        assert choose(lookups(new=10), ON_STAGE, used=800, budget=1) == Choice(10, CREATOR, 150, 1000)

    def test_asks_about_one_space_alone_while_its_number_of_people_is_unknown(self) -> None:
        assert choose(lookups(new=10), ON_STAGE, used=0, budget=1) == Choice(1, ON_STAGE, 1000, 1000)
        mixed = choose(lookups(new=3, seen=30), ON_STAGE, used=100, budget=1)
        assert mixed == Choice(1, ON_STAGE, 900, 1000, first=30), "those who are paid for keep their place"
        assert choose(lookups(new=1), ON_STAGE, used=0, budget=9) == Choice(1, ON_STAGE, 2005, 8100)
        filled = choose(lookups(new=3, seen=30), ON_STAGE, used=100, budget=1, due=30)
        assert filled == Choice(33, CREATOR, 45, 1000), "what only fills a request is not asked about instead"

    def test_drops_spaces_if_even_they_cost_too_much(self) -> None:
        assert choose(lookups(new=100), ON_STAGE, used=0, budget=1) == Choice(66, CREATOR, 990, 1000)

    def test_starts_with_billed_spaces(self) -> None:
        mixed = lookups(new=5, seen=5)
        assert choose(mixed, ON_STAGE, used=970, budget=1) == Choice(7, CREATOR, 30, 1000)
        assert choose(mixed, ON_STAGE, used=1000, budget=1) == Choice(5, CREATOR, 0, 1000)

    def test_is_empty_if_not_even_one_space_is_affordable(self) -> None:
        assert choose(lookups(new=5), ON_STAGE, used=986, budget=1) is None
        assert choose([of_name()] * 3, CREATOR, used=941, budget=1) is None
        assert choose([of_result()] * 100, CREATOR, used=886, budget=1) is None

    def test_reserves_the_last_tenth_for_changes_of_spaces(self) -> None:
        assert choose(lookups(seen=1), ON_STAGE, used=770, budget=1) == Choice(1, ON_STAGE, 130, 900)
        assert choose(lookups(seen=1), ON_STAGE, used=771, budget=1) == Choice(1, CREATOR, 0, 1000)

    def test_splits_a_question_for_people_if_the_other_spaces_stay_affordable(
        self,
    ) -> None:
        assert choose(lookups(seen=24), ON_STAGE, used=0, budget=1) == Choice(6, ON_STAGE, 780, 900)
        assert choose(lookups(seen=25), ON_STAGE, used=0, budget=1) == Choice(25, CREATOR, 0, 1000)
        assert choose(lookups(seen=20, new=2), ON_STAGE, used=0, budget=1) == Choice(6, ON_STAGE, 780, 900)
        assert choose(lookups(seen=14, new=9), ON_STAGE, used=770, budget=1) == Choice(23, CREATOR, 135, 1000)

    def test_never_splits_a_search(self) -> None:
        results = [of_result()] * 4
        assert choose(results, ON_STAGE, used=0, budget=7) == Choice(3, ON_STAGE, 6045, 6300)
        assert choose(results, ON_STAGE, used=0, budget=7, divisible=False) == Choice(4, CREATOR, 60, 6300)

    def test_keeps_patient_polls_within_their_share(self) -> None:
        apart = [of_space(f"P{each}", None, Paid(), PATIENT) for each in range(2)]
        every = sorted([*apart, *lookups(new=2)], key=precedence)
        assert [each.share for each in every] == [1.0, 1.0, 0.95, 0.95]
        assert choose(every, CREATOR, used=900, budget=1) == Choice(3, CREATOR, 45, 950)
        assert choose(every, CREATOR, used=940, budget=1) == Choice(2, CREATOR, 30, 1000)

    def test_makes_a_search_smaller(self) -> None:
        assert choose([of_result()] * 100, WITH_GUESTS, used=0, budget=1) == Choice(60, CREATOR, 900, 900)
        assert choose([of_result()] * 100, WITH_GUESTS, used=885, budget=1) == Choice(1, CREATOR, 15, 900)

    def test_asks_about_fewer_creators(self) -> None:
        creators = [of_creator(str(each), [], Paid()) for each in range(100)]
        assert choose(creators, CREATOR, used=0, budget=1) == Choice(15, CREATOR, 900, 900)

    @pytest.mark.parametrize(("used", "held"), [(850, 60), (899, 60), (980, None), (900, None)])
    def test_asks_about_a_single_creator_with_the_rest(self, used: int, held: int | None) -> None:
        """Up to nine tenths, like all discovery; the last tenth covers what a single creator may show."""
        choice = choose([of_creator("1", [], Paid())] * 9, CREATOR, used=used, budget=1)
        assert choice == (Choice(1, CREATOR, held, 1000) if held is not None else None)

    def test_holds_the_whole_rest_if_a_single_creator_may_cost_more(self) -> None:
        assert choose([of_creator("1", [], Paid())], CREATOR, used=20, budget=0.05) == Choice(
            1, CREATOR, 30, 50
        )
        assert choose([of_creator("1", [], Paid())], CREATOR, used=41, budget=0.05) is None

    @pytest.mark.parametrize("budget", [0.001, 0.004])
    def test_is_empty_below_the_price_of_one_space(self, budget: float) -> None:
        for estimate in (of_space("S1", None, Paid(), URGENT), of_result(), of_creator("1", [], Paid())):
            assert choose([estimate], ON_STAGE, used=0, budget=budget) is None

    def test_counts_a_budget_in_whole_thousandths(self) -> None:
        free = without_users(of_space("S1", None, Paid(), URGENT))
        assert choose([free], CREATOR, used=285, budget=0.29) == Choice(1, CREATOR, 5, 290)
        assert choose([free], CREATOR, used=285, budget=0.2899) is None


class TestSpacesThatAreOver:
    """They are asked about in separate questions, since nobody reads their people."""

    LIVE = (DuePoll("L1", 100.0, URGENT), DuePoll("L2", 130.0, URGENT))
    OVER = (DuePoll("O1", 90.0, PATIENT), DuePoll("O2", 160.0, PATIENT))

    def test_are_asked_about_when_they_have_waited_longest(self) -> None:
        assert of_one_kind([*self.LIVE, *self.OVER], {"O1", "O2"}) == [*self.OVER]
        assert of_one_kind([*self.LIVE, self.OVER[1]], {"O1", "O2"}) == [*self.LIVE]

    def test_share_no_question_with_others_and_are_all_asked_about(self) -> None:
        assert of_one_kind(self.LIVE, set()) == [*self.LIVE]
        assert of_one_kind(self.OVER, {"O1", "O2"}) == [*self.OVER]
