"""Who sends visitors, and under which name: the rules of the traffic step.

The channels are those of common web analytics (Google Analytics 4 documents its own as "default channel group"); the
tables are Weir's. Every key is in lower case.
"""

from typing import NamedTuple

DIRECT, INTERNAL, REFERRAL, CAMPAIGN = "direct", "internal", "referral", "campaign"
ORGANIC_SEARCH, PAID_SEARCH = "organic_search", "paid_search"
SOCIAL, PAID_SOCIAL, VIDEO, EMAIL, DISPLAY, AFFILIATE = (
    "social",
    "paid_social",
    "video",
    "email",
    "display",
    "affiliate",
)


class Origin(NamedTuple):
    """A channel with the source and medium it implies."""

    channel: str
    source: str
    medium: str


def _search(name: str) -> Origin:
    return Origin(ORGANIC_SEARCH, name, "organic")


def _social(name: str) -> Origin:
    return Origin(SOCIAL, name, "social")


def _video(name: str) -> Origin:
    return Origin(VIDEO, name, "video")


def _mail(name: str) -> Origin:
    return Origin(EMAIL, name, "email")


def _site(name: str) -> Origin:
    return Origin(REFERRAL, name, "referral")


# Hosts, each with the hosts under it. The longest one that fits decides.
HOSTS = {
    # Search engines of one domain.
    "duckduckgo.com": _search("duckduckgo"),
    "ecosia.org": _search("ecosia"),
    "startpage.com": _search("startpage"),
    "qwant.com": _search("qwant"),
    "search.brave.com": _search("brave"),
    "kagi.com": _search("kagi"),
    "you.com": _search("you"),
    "mojeek.com": _search("mojeek"),
    "swisscows.com": _search("swisscows"),
    "petalsearch.com": _search("petalsearch"),
    "baidu.com": _search("baidu"),
    "sogou.com": _search("sogou"),
    "so.com": _search("360"),
    "sm.cn": _search("shenma"),
    "naver.com": _search("naver"),
    "search.daum.net": _search("daum"),
    "seznam.cz": _search("seznam"),
    "go.mail.ru": _search("mail.ru"),
    "rambler.ru": _search("rambler"),
    "coccoc.com": _search("coccoc"),
    "ask.com": _search("ask"),
    "search.aol.com": _search("aol"),
    "dogpile.com": _search("dogpile"),
    "metager.de": _search("metager"),
    "com.google.android.googlequicksearchbox": _search("google"),
    # Social networks and forums.
    "facebook.com": _social("facebook"),
    "fb.com": _social("facebook"),
    "fb.me": _social("facebook"),
    "com.facebook.katana": _social("facebook"),
    "messenger.com": _social("messenger"),
    "instagram.com": _social("instagram"),
    "com.instagram.android": _social("instagram"),
    "threads.net": _social("threads"),
    "threads.com": _social("threads"),
    "twitter.com": _social("twitter"),
    "x.com": _social("twitter"),
    "t.co": _social("twitter"),
    "com.twitter.android": _social("twitter"),
    "linkedin.com": _social("linkedin"),
    "lnkd.in": _social("linkedin"),
    "com.linkedin.android": _social("linkedin"),
    "reddit.com": _social("reddit"),
    "com.reddit.frontpage": _social("reddit"),
    "tumblr.com": _social("tumblr"),
    "tiktok.com": _social("tiktok"),
    "snapchat.com": _social("snapchat"),
    "pin.it": _social("pinterest"),
    "com.pinterest": _social("pinterest"),
    "bsky.app": _social("bluesky"),
    "mastodon.social": _social("mastodon"),
    "vk.com": _social("vk"),
    "ok.ru": _social("ok"),
    "weibo.com": _social("weibo"),
    "weibo.cn": _social("weibo"),
    "zhihu.com": _social("zhihu"),
    "douban.com": _social("douban"),
    "news.ycombinator.com": _social("hackernews"),
    "lobste.rs": _social("lobsters"),
    "quora.com": _social("quora"),
    "discord.com": _social("discord"),
    "t.me": _social("telegram"),
    "telegram.org": _social("telegram"),
    "org.telegram.messenger": _social("telegram"),
    "whatsapp.com": _social("whatsapp"),
    "wa.me": _social("whatsapp"),
    "xing.com": _social("xing"),
    "digg.com": _social("digg"),
    "flipboard.com": _social("flipboard"),
    "stumbleupon.com": _social("stumbleupon"),
    "plus.google.com": _social("google+"),
    "groups.google.com": _social("google groups"),
    # Video.
    "youtube.com": _video("youtube"),
    "youtu.be": _video("youtube"),
    "com.google.android.youtube": _video("youtube"),
    "vimeo.com": _video("vimeo"),
    "twitch.tv": _video("twitch"),
    "dailymotion.com": _video("dailymotion"),
    "rumble.com": _video("rumble"),
    "bilibili.com": _video("bilibili"),
    # Mail read in a browser.
    "mail.google.com": _mail("gmail"),
    "com.google.android.gm": _mail("gmail"),
    "outlook.live.com": _mail("outlook"),
    "outlook.office.com": _mail("outlook"),
    "outlook.office365.com": _mail("outlook"),
    "mail.yahoo.com": _mail("yahoo"),
    "mail.aol.com": _mail("aol"),
    "mail.proton.me": _mail("proton"),
    "mail.ru": _mail("mail.ru"),
    "mail.yandex.ru": _mail("yandex"),
    "mail.yandex.com": _mail("yandex"),
    "mail.qq.com": _mail("qq"),
    "mail.naver.com": _mail("naver"),
    # Hosts of search engines that do not search.
    "accounts.google.com": _site("accounts.google.com"),
    "docs.google.com": _site("docs.google.com"),
    "drive.google.com": _site("drive.google.com"),
    "gemini.google.com": _site("gemini.google.com"),
    "news.google.com": _site("news.google.com"),
    "play.google.com": _site("play.google.com"),
    "sites.google.com": _site("sites.google.com"),
    "translate.google.com": _site("translate.google.com"),
    "finance.yahoo.com": _site("finance.yahoo.com"),
    "news.yahoo.com": _site("news.yahoo.com"),
    "blog.naver.com": _site("blog.naver.com"),
    "cafe.naver.com": _site("cafe.naver.com"),
}

# Names with a domain in many countries: the name before the public suffix.
BRANDS = {
    "google": _search("google"),
    "bing": _search("bing"),
    "yahoo": _search("yahoo"),
    "yandex": _search("yandex"),
    "ya": _search("yandex"),
    "pinterest": _social("pinterest"),
}

# Words for a source in campaign tags that are no host's name.
SOURCES = {
    "adwords": BRANDS["google"],
    "google_ads": BRANDS["google"],
    "google-ads": BRANDS["google"],
    "googleads": BRANDS["google"],
    "gads": BRANDS["google"],
    "bing_ads": BRANDS["bing"],
    "bingads": BRANDS["bing"],
    "microsoft": BRANDS["bing"],
    "duckduckgo": HOSTS["duckduckgo.com"],
    "ecosia": HOSTS["ecosia.org"],
    "baidu": HOSTS["baidu.com"],
    "naver": HOSTS["naver.com"],
    "facebook": HOSTS["facebook.com"],
    "fb": HOSTS["facebook.com"],
    "meta": HOSTS["facebook.com"],
    "instagram": HOSTS["instagram.com"],
    "ig": HOSTS["instagram.com"],
    "threads": HOSTS["threads.net"],
    "twitter": HOSTS["twitter.com"],
    "x": HOSTS["x.com"],
    "linkedin": HOSTS["linkedin.com"],
    "reddit": HOSTS["reddit.com"],
    "tiktok": HOSTS["tiktok.com"],
    "snapchat": HOSTS["snapchat.com"],
    "bluesky": HOSTS["bsky.app"],
    "mastodon": HOSTS["mastodon.social"],
    "telegram": HOSTS["t.me"],
    "whatsapp": HOSTS["whatsapp.com"],
    "vk": HOSTS["vk.com"],
    "weibo": HOSTS["weibo.com"],
    "quora": HOSTS["quora.com"],
    "youtube": HOSTS["youtube.com"],
    "vimeo": HOSTS["vimeo.com"],
    "twitch": HOSTS["twitch.tv"],
    "email": _mail("email"),
    "e-mail": _mail("email"),
    "newsletter": _mail("newsletter"),
    "mailchimp": _mail("mailchimp"),
    "gmail": HOSTS["mail.google.com"],
}

PAID = "paid"  # paid, for the source to say where
MEDIUMS = {
    "organic": ORGANIC_SEARCH,
    "sem": PAID_SEARCH,
    "paidsearch": PAID_SEARCH,
    "paid_search": PAID_SEARCH,
    "paid-search": PAID_SEARCH,
    "paid search": PAID_SEARCH,
    "cpc": PAID,
    "ppc": PAID,
    "cpa": PAID,
    "cpv": PAID,
    "paid": PAID,
    "ad": PAID,
    "ads": PAID,
    "cpm": DISPLAY,
    "display": DISPLAY,
    "banner": DISPLAY,
    "expandable": DISPLAY,
    "interstitial": DISPLAY,
    "programmatic": DISPLAY,
    "retargeting": DISPLAY,
    "remarketing": DISPLAY,
    "social": SOCIAL,
    "social-network": SOCIAL,
    "social-media": SOCIAL,
    "social_media": SOCIAL,
    "social network": SOCIAL,
    "social media": SOCIAL,
    "sm": SOCIAL,
    "paidsocial": PAID_SOCIAL,
    "paid_social": PAID_SOCIAL,
    "paid-social": PAID_SOCIAL,
    "paid social": PAID_SOCIAL,
    "video": VIDEO,
    "email": EMAIL,
    "e-mail": EMAIL,
    "e_mail": EMAIL,
    "mail": EMAIL,
    "newsletter": EMAIL,
    "affiliate": AFFILIATE,
    "affiliates": AFFILIATE,
    "partner": AFFILIATE,
    "referral": REFERRAL,
    "link": REFERRAL,
    "app": REFERRAL,
}

PAID_BY_KIND = {ORGANIC_SEARCH: PAID_SEARCH, SOCIAL: PAID_SOCIAL, VIDEO: VIDEO, EMAIL: EMAIL}

# Parameters that advertisers' systems add to a link, in the order in which one is told when there are several.
CLICK_IDS = {
    "gclid": Origin(PAID_SEARCH, "google", "cpc"),
    "gbraid": Origin(PAID_SEARCH, "google", "cpc"),
    "wbraid": Origin(PAID_SEARCH, "google", "cpc"),
    "msclkid": Origin(PAID_SEARCH, "bing", "cpc"),
    "yclid": Origin(PAID_SEARCH, "yandex", "cpc"),
    "dclid": Origin(DISPLAY, "google", "display"),
    "ttclid": Origin(PAID_SOCIAL, "tiktok", "paid_social"),
    "twclid": Origin(PAID_SOCIAL, "twitter", "paid_social"),
    "li_fat_id": Origin(PAID_SOCIAL, "linkedin", "paid_social"),
    "rdt_cid": Origin(PAID_SOCIAL, "reddit", "paid_social"),
    "sccid": Origin(PAID_SOCIAL, "snapchat", "paid_social"),
    "epik": Origin(PAID_SOCIAL, "pinterest", "paid_social"),
    "qclid": Origin(PAID_SOCIAL, "quora", "paid_social"),
    "irclickid": Origin(AFFILIATE, "impact", "affiliate"),
    "awc": Origin(AFFILIATE, "awin", "affiliate"),
    "cjevent": Origin(AFFILIATE, "cj", "affiliate"),
    "fbclid": HOSTS["facebook.com"],  # added to every link out of Facebook, paid or not
    "igshid": HOSTS["instagram.com"],
    "igsh": HOSTS["instagram.com"],
    "mc_cid": Origin(EMAIL, "mailchimp", "email"),
    "srsltid": BRANDS["google"],
    "ysclid": BRANDS["yandex"],
}

# Domains under which other people's domains are: below a country, and of services that give one away.
SECOND_LEVEL = frozenset(
    {"ac", "co", "com", "edu", "go", "gob", "gov", "ltd", "me", "mil", "ne", "net", "or", "org", "sch"}
)
SHARED_DOMAINS = frozenset(
    {
        "azurewebsites.net",
        "blogspot.com",
        "cloudfront.net",
        "fly.dev",
        "github.io",
        "gitlab.io",
        "herokuapp.com",
        "myshopify.com",
        "netlify.app",
        "ngrok.io",
        "onrender.com",
        "pages.dev",
        "tumblr.com",
        "vercel.app",
        "web.app",
        "wordpress.com",
        "workers.dev",
    }
)
