"""Where visitors came from: tags, click ids, referrers and their channel."""

from typing import Any

import pytest

from functions.enrich.steps.page import page_step
from functions.enrich.steps.tables.channels import CLICK_IDS
from functions.enrich.steps.traffic import traffic_step
from functions.shared.domain import clicks
from tests.unit.enrich.steps.rows import row

PAGE, TRAFFIC = page_step(), traffic_step()


def traffic(query: str = "", referrer: Any = "", campaign: Any = None, **columns: Any) -> dict[str, Any]:
    context = {"page": {"url": f"https://shop.example.com/p?{query}", "referrer": referrer}}
    found = row(**{"context": context if campaign is None else context | {"campaign": campaign}} | columns)
    found.update(PAGE.run(found))
    return dict(TRAFFIC.run(found))


@pytest.mark.parametrize(
    ("referrer", "channel", "source", "medium", "domain"),
    [
        ("", "direct", "", "", ""),
        ("https://www.google.com/", "organic_search", "google", "organic", "google.com"),
        ("https://www.google.co.uk/search?q=x", "organic_search", "google", "organic", "google.co.uk"),
        ("https://duckduckgo.com/", "organic_search", "duckduckgo", "organic", "duckduckgo.com"),
        ("https://search.yahoo.com/", "organic_search", "yahoo", "organic", "search.yahoo.com"),
        ("https://ya.ru/", "organic_search", "yandex", "organic", "ya.ru"),
        (
            "android-app://com.google.android.googlequicksearchbox/",
            "organic_search",
            "google",
            "organic",
            "com.google.android.googlequicksearchbox",
        ),
        ("https://mail.google.com/", "email", "gmail", "email", "mail.google.com"),
        ("https://docs.google.com/x", "referral", "docs.google.com", "referral", "docs.google.com"),
        ("https://l.facebook.com/l.php", "social", "facebook", "social", "l.facebook.com"),
        ("https://t.co/abc", "social", "twitter", "social", "t.co"),
        ("https://www.pinterest.de/pin/1", "social", "pinterest", "social", "pinterest.de"),
        ("https://www.youtube.com/watch?v=1", "video", "youtube", "video", "youtube.com"),
        ("https://blog.other.example/a", "referral", "blog.other.example", "referral", "blog.other.example"),
        ("https://google.evil.example/", "referral", "google.evil.example", "referral", "google.evil.example"),
        ("https://notfacebook.com/", "referral", "notfacebook.com", "referral", "notfacebook.com"),
        ("https://shop.example.com/cart", "internal", "", "", "shop.example.com"),
        ("https://www.example.com/", "internal", "", "", "example.com"),
        ("HTTPS://SHOP.EXAMPLE.COM:443/", "internal", "", "", "shop.example.com"),
        ("no url", "direct", "", "", ""),
        ("http://[::1", "direct", "", "", ""),
        ("https://a b/", "direct", "", "", ""),
        (["https://t.co/"], "direct", "", "", ""),
    ],
)
def test_a_referrer_has_a_channel(referrer: Any, channel: str, source: str, medium: str, domain: str) -> None:
    found = traffic(referrer=referrer)
    assert (found["channel"], found["source"], found["medium"], found["referrer_domain"]) == (
        channel,
        source,
        medium,
        domain,
    )


@pytest.mark.parametrize(
    ("page", "referrer", "channel"),
    [
        ("https://a.co.uk/", "https://b.co.uk/", "referral"),
        ("https://www.a.co.uk/", "https://blog.a.co.uk/", "internal"),
        ("https://a.github.io/", "https://b.github.io/", "referral"),
        ("http://localhost:3000/", "http://localhost:3000/x", "internal"),
        ("http://10.0.0.1/", "http://10.1.0.1/", "referral"),
        ("http://[::1]:80/", "http://[::1]/", "internal"),
    ],
)
def test_only_hosts_of_one_site_are_internal_to_each_other(page: str, referrer: str, channel: str) -> None:
    assert traffic(context={"page": {"url": page, "referrer": referrer}})["channel"] == channel


@pytest.mark.parametrize(
    ("query", "channel", "source", "medium"),
    [
        ("utm_source=google&utm_medium=cpc", "paid_search", "google", "cpc"),
        ("utm_source=google&utm_medium=organic", "organic_search", "google", "organic"),
        ("utm_source=Facebook&utm_medium=CPC", "paid_social", "Facebook", "CPC"),
        ("utm_source=m.facebook.com&utm_medium=paid", "paid_social", "m.facebook.com", "paid"),
        ("utm_source=spring&utm_medium=e-mail", "email", "spring", "e-mail"),
        ("utm_source=newsletter", "email", "newsletter", ""),
        ("utm_source=instagram", "social", "instagram", ""),
        ("utm_source=x&utm_medium=banner", "display", "x", "banner"),
        ("utm_source=x&utm_medium=affiliate", "affiliate", "x", "affiliate"),
        ("utm_source=youtube&utm_medium=cpv", "video", "youtube", "cpv"),
        ("utm_source=partner&utm_medium=referral", "referral", "partner", "referral"),
        ("utm_source=somebody&utm_medium=cpc", "campaign", "somebody", "cpc"),
        ("utm_source=flyer&utm_medium=qr", "campaign", "flyer", "qr"),
        ("utm_campaign=only", "campaign", "", ""),
        ("gclid=abc", "paid_search", "google", "cpc"),
        ("gbraid=abc", "paid_search", "google", "cpc"),
        ("dclid=abc", "display", "google", "display"),
        ("msclkid=abc", "paid_search", "bing", "cpc"),
        ("ttclid=abc", "paid_social", "tiktok", "paid_social"),
        ("fbclid=abc", "social", "facebook", "social"),
        ("fbclid=abc&utm_medium=paid", "social", "", "paid"),
        ("utm_campaign=x&gclid=abc", "paid_search", "google", "cpc"),
        ("utm_source=&utm_medium=", "direct", "", ""),
        ("UTM_SOURCE=google&Utm_Medium=cpc", "paid_search", "google", "cpc"),
        ("utm_source=a+b%20c&utm_medium=email", "email", "a b c", "email"),
    ],
)
def test_tags_and_click_ids_of_the_url_have_a_channel(query: str, channel: str, source: str, medium: str) -> None:
    found = traffic(query=query)
    assert (found["channel"], found["source"], found["medium"]) == (channel, source, medium)


@pytest.mark.parametrize(
    ("query", "click_id"),
    [
        ("gclid=Cj0K_a-b", "gclid:Cj0K_a-b"),
        ("fbclid=f&gclid=g", "gclid:g"),
        ("wbraid=w", "wbraid:w"),
        ("twclid=t", "twclid:t"),
        ("li_fat_id=l", "li_fat_id:l"),
        ("yclid=y", "yclid:y"),
        ("gclid=", ""),
        ("gclid", ""),
        ("xgclid=1", ""),
        ("gclid=" + "a" * 9_000, "gclid:" + "a" * 256),
    ],
)
def test_a_click_id_is_kept_with_its_name(query: str, click_id: str) -> None:
    assert traffic(query=query)["click_id"] == click_id


def test_tags_win_over_the_referrer() -> None:
    found = traffic(query="utm_source=mailchimp&utm_medium=email", referrer="https://www.google.com/")
    assert (found["channel"], found["source"], found["referrer_domain"]) == ("email", "mailchimp", "google.com")


def test_the_clients_campaign_wins_over_the_urls_tag_by_tag() -> None:
    found = traffic(
        query="utm_source=google&utm_medium=cpc&utm_campaign=url&utm_term=shoes&utm_content=a",
        campaign={"name": "spring", "source": "bing", "term": 7},
    )
    assert (found["source"], found["medium"], found["campaign"], found["term"], found["content"]) == (
        "bing",
        "cpc",
        "spring",
        "shoes",
        "a",
    )


@pytest.mark.parametrize("campaign", ["spring", [], 7, {}, {"name": None}, {"name": {"a": 1}}, {"source": "  "}])
def test_a_campaign_without_a_text_says_nothing(campaign: Any) -> None:
    assert traffic(campaign=campaign)["channel"] == "direct"


@pytest.mark.parametrize("platform", ["server", "ios", "web"])
def test_an_event_without_page_referrer_and_campaign_has_no_channel(platform: str) -> None:
    assert traffic(platform=platform, context={}) == TRAFFIC.empty


def test_an_app_may_tell_its_campaign_or_referrer_without_a_page() -> None:
    assert traffic(context={"campaign": {"source": "google", "medium": "cpc"}})["channel"] == "paid_search"
    assert traffic(context={"referrer": "https://t.co/x"})["channel"] == "social"


def test_a_query_of_thousands_of_parameters_is_read_up_to_a_bound() -> None:
    late = "&".join(["a=1"] * 300) + "&utm_source=late"
    assert traffic(query=late)["source"] == ""


def test_each_click_id_that_tells_an_origin_is_known_to_those_who_blank_it() -> None:
    assert set(CLICK_IDS) == set(clicks.NAMES)
