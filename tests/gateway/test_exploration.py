"""The ledger of new items: JSON for services, a page for people."""

import msgspec

from shortlist.coldstart.accounts import Accounts
from shortlist.storefront import assets
from tests.gateway.conftest import Running
from tests.gateway.test_app import get


def test_services_get_the_ledger_and_users_do_not(shop: Running) -> None:
    answer = get(shop, "/exploration", "ops", "service")
    assert answer.status_code == 200
    found = msgspec.json.decode(answer.content, type=Accounts)
    assert (found.share, found.promoted_share, found.items) == (0.05, 0.2, [])
    assert get(shop, "/exploration", "ann").status_code == 403
    assert get(shop, "/exploration", None).status_code == 401


def test_a_browser_gets_the_page_which_holds_nothing_of_the_shop(shop: Running) -> None:
    answer = get(shop, "/exploration", None, headers={"accept": "text/html,*/*;q=0.8"})
    assert answer.status_code == 200
    assert answer.content == assets()["/static/exploration.html"].body
    assert answer.headers["vary"] == "Accept"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
