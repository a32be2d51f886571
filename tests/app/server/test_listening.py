"""Where the service may listen."""

import pytest

from app.server.listening import CannotListen, require_key_beyond_loopback
from app.settings import Settings
from tests.conftest import MakeKey


class TestListening:
    @pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
    def test_loopback_needs_no_key(self, settings: Settings, host: str) -> None:
        require_key_beyond_loopback(settings.model_copy(update={"host": host}))

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "serval.example"])
    def test_any_other_address_is_refused_until_a_key_exists(
        self, settings: Settings, make_key: MakeKey, host: str
    ) -> None:
        open_wide = settings.model_copy(update={"host": host})
        with pytest.raises(CannotListen, match="serval keys create") as refused:
            require_key_beyond_loopback(open_wide)
        assert host in str(refused.value)
        make_key("admin")
        require_key_beyond_loopback(open_wide)

    def test_pages_of_other_origins_are_refused_until_a_key_exists(
        self, settings: Settings, make_key: MakeKey
    ) -> None:
        for_pages = settings.model_copy(update={"cors_origins": "https://app.example"})
        with pytest.raises(CannotListen, match=r"'https://app\.example', and there is no API key"):
            require_key_beyond_loopback(for_pages)
        make_key("admin")
        require_key_beyond_loopback(for_pages)
