"""How software that is no person's browser names itself, by the reason it is told with.

Written for Weir after the habits of the trade: a program that fetches pages names itself with a word for what it does,
with a URL or a mail address where it explains itself, or with ``compatible;`` and a name of its own. ua-parser's
verdict (device family ``Spider``) is asked as well. Public lists of crawlers were weighed and left: they hold patterns
such as one phone's build number, an editor's and a social app's built-in browser, and so count people as bots.

Words are looked for in the user agent in lower case; a pattern is for what a plain word would find too often.
"""

import re
from typing import NamedTuple


class Marker(NamedTuple):
    """What gives a kind of program away: any of the words, or the pattern."""

    reason: str
    words: tuple[str, ...]
    pattern: re.Pattern[str] | None = None

    def fits(self, lower: str) -> bool:
        """Whether a user agent in lower case is of this kind."""
        return any(word in lower for word in self.words) or bool(self.pattern and self.pattern.search(lower))


def _words(text: str) -> tuple[str, ...]:
    """One word to a space; ``~`` stands for a space within one."""
    return tuple(word.replace("~", " ") for word in text.split())


MARKERS = (
    # A browser driven by a program.
    Marker(
        "ua_headless",
        _words(
            """
            headless phantomjs puppeteer playwright selenium webdriver cypress/ slimerjs zombie.js htmlunit jsdom
            prerender rendertron nightmare casperjs browserless splash~version
            """
        ),
    ),
    # A program that watches whether a site is up, fast or safe.
    Marker(
        "ua_monitor",
        _words(
            """
            pingdom uptime statuscake site24x7 newrelic datadog dynatrace ruxit synthetic catchpoint nagios zabbix
            monit/ monitis monitor healthcheck health-check freshping hetrixtools checkly gtmetrix lighthouse
            pagespeed webpagetest ptst/ gomez keynote alertsite kube-probe googlehc thousandeyes appinsights
            dareboost panopta netcraft blackbox prometheus cloudflare-traffic validator w3c linkcheck link~check
            chef~client puppet/ sentry/ hydrozen protocol~discovery ghost~inspector hardenize site-verification
            check_http
            """
        ),
    ),
    # A program that reads feeds for somebody who is not there.
    Marker(
        "ua_feed_reader",
        _words(
            """
            feed newsblur inoreader theoldreader bazqux miniflux netvibes liferea akregator netnewswire reeder/
            vienna/ planet/ venus/ simplepie magpierss livejournal.com digg~ aggregator podcast nextcloud-news
            """
        ),
        re.compile(r"\brss|rss\b|\batom\b"),
    ),
    # A program that shows a link or a picture of a page to somebody who has not opened it.
    Marker(
        "ua_preview",
        _words(
            """
            facebookexternalhit facebookcatalog meta-external whatsapp/ telegrambot slackbot slack-img discordbot
            twitterbot linkedinbot skypeuripreview embedly iframely preview imageproxy image~proxy favicon vkshare
            unfurl flipboardproxy mastodon pleroma misskey friendica urllog cardyb redditbot snap~url
            """
        ),
    ),
    # A program that collects pages: by its word for it, by its maker, or by explaining itself.
    Marker(
        "ua_crawler",
        _words(
            """
            robot crawl xrawler spider spyder slurp scraper scraping scrapy scanner harvest indexer archive
            collection@ collector extractor grabber zgrab fetcher fetch~ survey httrack mediapartners googleother
            apis-google googleagent google-agent google-read google-safety google-ads google-certificates
            google-physicalweb chatgpt-user oai-search claude-user claude-web anthropic perplexity cohere-ai ahrefs
            semrush majestic mj12 seokicks seo4ajax sistrix screaming~frog siteaudit serpstat dataprovider
            barkrowler panscient gigablast biglotron binlar nutch heritrix zmeu nikto nessus nmap masscan sqlmap
            acunetix wpscan nuclei l9explore censys shodan expanse ips-agent linkdex ec2linkfinder trendsmap
            postrank outbrain disqus/ hatena twingly meltwater infegy admantx metauri siteimprove linkfluence wesee
            upflow traackr nuzzel xenu larbin ia_archiver teoma spinn3r daumoa manus-user duckduckgo-favicons
            coccoc/1 siteexplorer webcopier offline~explorer teleport distilator openvas adbeat criticalcss
            securityheaders nitro-optimizer cookiehub collapsify miniature.io linktiger printfriendly researchscan
            newsai/ scope3
            """
        ),
        re.compile(
            # "bot" but for Cubot, a maker of phones, and Botswana; then URLs, mail addresses, and names of their own.
            r"(?<!cu)bot(?![a-z])|scan[/ )]|https?://|[a-z0-9]@[a-z0-9-]+\.[a-z]"
            r"|compatible; ?(?!msie|konqueror|icab|omniweb|opera|abrowse|u;|netpositive)[a-z]"
            r"|^[a-z0-9-]+\.(?:com|net|org|io|ai|nu)\b"
        ),
    ),
    # A programmer's HTTP library or a command line: a bot when it says it is on the web, the usual thing on a server.
    Marker(
        "ua_library",
        _words(
            """
            curl wget python urllib aiohttp httpx go-http golang okhttp java/ jakarta apache-http httpclient
            http-client http_client http_request httpunit httpurlconnection async-http ahc/ jetty reactor-netty
            vert.x libwww lwp:: lwp- mechanize ruby faraday rest-client typhoeus httparty guzzle symfony node-fetch
            undici axios superagent node.js node/ deno/ bun/ postman insomnia httpie winhttp wininet restsharp dart:
            dart/ libfetch aria2 lavf/ vlc/ indy~library newspaper/ colly feign ktor alamofire cfnetwork dalvik
            hackney elixir erlang reqwest hyper/ ureq cpp-httplib boto3 botocore powershell jersey retrofit unirest
            resty akka-http grpc-
            """
        ),
        re.compile(r"\bphp\b|\bperl\b|^java\b|\bgot[/ ]|\brust\b|\brequests?/"),
    ),
    # Nothing but the prefix all browsers share: proxies and scripts.
    Marker("ua_bare", (), re.compile(r"^mozilla(?:/\d\.\d)?(?: \(compatible;?\s*\))?$")),
)

# What no browser sends begins with none of these, nor holds the words of the phones that came before Mozilla/5.0.
# It is asked last, of what nothing above fits, and only on the web.
BROWSERS = re.compile(
    r"^\W?(?:mozilla|opera|lynx|e?links|w3m|dillo|netsurf|konqueror|dolphin|instagram)|midp|\bwap\b|browser|openwave"
    r"|mobile|j2me|symbian|nokia|blackberry"
)
NOT_BROWSER = "ua_not_browser"

# Platforms on which a person's browser sends the event itself. Elsewhere a library is what one expects.
WEB_PLATFORMS = frozenset({"web", "Web", "WEB", "website", "browser", "amp"})
WEB_ONLY = frozenset({"ua_library", "ua_bare"})
NO_USER_AGENT = frozenset({"", "-"})
