"""How many requests of a kind are worked on at one time, and how many of them for one key."""

from contextlib import ExitStack

import pytest

from app.access.quotas import ConcurrencyLimit
from app.errors import TooLarge, TooMany, Unavailable


class TestPlaces:
    @pytest.fixture
    def places(self) -> ConcurrencyLimit:
        return ConcurrencyLimit(2, "cats are being fed", code="cats_busy", retry_after=7)

    def test_one_more_than_there_are_is_503_and_told_when_to_come_again(
        self, places: ConcurrencyLimit
    ) -> None:
        with (
            places.one("key_a"),
            places.one("key_b"),
            pytest.raises(Unavailable, match="2 cats are") as caught,
        ):
            places.one("key_c").__enter__()
        assert (caught.value.code, caught.value.headers) == ("cats_busy", {"Retry-After": "7"})

    def test_one_key_has_half_of_them_and_leaves_the_others(self, places: ConcurrencyLimit) -> None:
        with places.one("key_a"):
            with pytest.raises(TooMany, match="may have 1 of 2 places") as caught:
                places.one("key_a").__enter__()
            with places.one("key_b"):
                pass
        assert (caught.value.code, caught.value.headers) == ("cats_busy", {"Retry-After": "7"})

    @pytest.mark.parametrize(("most", "share"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2)])
    def test_a_half_is_at_least_one(self, most: int, share: int) -> None:
        places = ConcurrencyLimit(most, "cats are being fed", code="cats_busy", retry_after=7)
        with ExitStack() as taken:
            for _ in range(share):
                taken.enter_context(places.one("key_a"))
            with pytest.raises((TooMany, Unavailable)):
                taken.enter_context(places.one("key_a"))

    def test_an_owner_without_keys_may_take_all_places(self, places: ConcurrencyLimit) -> None:
        with places.one("local"), places.one("local"), pytest.raises(Unavailable):
            places.one("local").__enter__()

    def test_a_place_is_free_again_after_work_that_failed(self, places: ConcurrencyLimit) -> None:
        for _ in range(3):
            with pytest.raises(TooLarge), places.one("key_a"):
                raise TooLarge("")
        with places.one("key_a"), places.one("key_b"):
            pass
