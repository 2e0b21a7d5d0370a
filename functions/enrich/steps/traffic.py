"""What brought the visitor: campaign tags, click ids and the referrer, and the channel they add up to.

Tags win over click ids and these over the referrer; of the tags the client's own ``context.campaign`` wins over those
in the page's URL.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote_plus, urlsplit

from functions.enrich.steps.hosts import is_host, site, without_www
from functions.enrich.steps.step import Columns, Step, part, text
from functions.enrich.steps.tables.channels import (
    BRANDS,
    CAMPAIGN,
    CLICK_IDS,
    DIRECT,
    HOSTS,
    INTERNAL,
    MEDIUMS,
    PAID,
    PAID_BY_KIND,
    REFERRAL,
    SOURCES,
    Origin,
)

_CACHED = 8_192
_CACHED_TEXT = 512  # longer texts are read each time, so that hostile ones cannot fill the memory
_LONGEST_TAG = 256
_LONGEST_REFERRER = 4_096
_MOST_PARAMETERS = 256


class Tags(NamedTuple):
    """Campaign tags, '' where there is none."""

    source: str = ""
    medium: str = ""
    campaign: str = ""
    term: str = ""
    content: str = ""


class _Marks(NamedTuple):
    """What the query of a page's URL says of where the visitor came from."""

    tags: Tags
    click_name: str
    click_id: str


_NO_TAGS = Tags()
_NO_MARKS = _Marks(_NO_TAGS, "", "")
_NOWHERE = Origin("", "", "")
_EMPTY: Columns = {
    "channel": "",
    "source": "",
    "medium": "",
    "campaign": "",
    "term": "",
    "content": "",
    "click_id": "",
    "referrer_domain": "",
}


def traffic_step() -> Step:
    """The traffic columns. An event without page, referrer and campaign has none: it tells nothing of its origin."""
    marks = lru_cache(maxsize=_CACHED)(_marks)
    found = lru_cache(maxsize=_CACHED)(_found)

    def run(row: Mapping[str, Any]) -> Columns:
        context = row["context"]
        url, query = row["page_url"], row["page_query"]
        tags = _said(context["campaign"]) if "campaign" in context else _NO_TAGS
        referrer = _referrer(row)
        if not url and not referrer and tags is _NO_TAGS:
            return _EMPTY
        marked = _NO_MARKS
        if query:
            marked = marks(query) if len(query) <= _CACHED_TEXT else _marks(query)
        said = 0 if tags is _NO_TAGS else sum(map(len, tags))
        short = len(referrer) + len(query) + said <= _CACHED_TEXT
        look = found if short else _found
        return look(tags, marked, referrer, row["page_host"], bool(url))

    return Step("traffic", run, _EMPTY)


def _referrer(row: Mapping[str, Any]) -> str:
    context = row["context"]
    page = part(context, "page")
    referrer = page.get("referrer")
    if type(referrer) is str and referrer:
        return referrer[:_LONGEST_REFERRER]
    for place in (context, row["properties"]):
        referrer = place.get("referrer")
        if referrer and isinstance(referrer, str):
            return referrer[:_LONGEST_REFERRER]
    return ""


def _said(campaign: Any) -> Tags:
    """The client's campaign object. What is not a text in it is not there."""
    if not isinstance(campaign, dict):
        return _NO_TAGS
    name = campaign.get("name") or campaign.get("campaign")
    tags = Tags(*(text(v, _LONGEST_TAG) for v in (campaign.get("source"), campaign.get("medium"), name)))
    tags = tags._replace(
        term=text(campaign.get("term"), _LONGEST_TAG), content=text(campaign.get("content"), _LONGEST_TAG)
    )
    return tags if any(tags) else _NO_TAGS


def _marks(query: str) -> _Marks:
    """The first value of every tag and click id in a query."""
    values: dict[str, str] = {}
    for parameter in query.split("&", _MOST_PARAMETERS)[:_MOST_PARAMETERS]:
        name, _, value = parameter.partition("=")
        lower = name.lower()
        if value and (lower.startswith("utm_") or lower in CLICK_IDS) and lower not in values:
            values[lower] = text(unquote_plus(value[: 4 * _LONGEST_TAG]), _LONGEST_TAG)
    if not any(values.values()):
        return _NO_MARKS
    tags = Tags(*(values.get(f"utm_{name}", "") for name in Tags._fields))
    click = next((name for name in CLICK_IDS if values.get(name)), "")
    return _Marks(tags, click, values.get(click, ""))


def _found(said: Tags, marks: _Marks, referrer: str, page_host: str, page: bool) -> Columns:
    """The columns of one combination of tags, marks, referrer, the page's own host and whether there is a page."""
    tags = Tags(*(mine or marked for mine, marked in zip(said, marks.tags, strict=True)))
    click = CLICK_IDS.get(marks.click_name)
    host = _host(referrer)
    origin = _origin(tags, click, host, page_host, page)
    return {
        "channel": origin.channel,
        "source": origin.source,
        "medium": origin.medium,
        "campaign": tags.campaign,
        "term": tags.term,
        "content": tags.content,
        "click_id": f"{marks.click_name}:{marks.click_id}" if click else "",
        "referrer_domain": without_www(host),
    }


def _origin(tags: Tags, click: Origin | None, host: str, page_host: str, page: bool) -> Origin:
    if any(tags):
        source = tags.source or (click.source if click and not tags.medium else "")
        medium = tags.medium or (click.medium if click else "")
        return Origin(_channel(tags, click), source, medium)
    if click:
        return click
    if host:
        return _of_host(host, page_host)
    return Origin(DIRECT, "", "") if page else _NOWHERE


def _channel(tags: Tags, click: Origin | None) -> str:
    """By the medium; where it only says paid, or nothing known, by the source, the click id, and last ``campaign``."""
    kind = _kind_of_source(tags.source)
    medium = tags.medium.lower()
    channel = MEDIUMS.get(medium) or (PAID if medium.startswith(("paid", "cp")) else "")
    if channel == PAID:
        return PAID_BY_KIND.get(kind) or (click.channel if click else CAMPAIGN)
    if channel or medium:
        return channel or CAMPAIGN
    if click:
        return click.channel
    return kind if kind != REFERRAL else CAMPAIGN


def _kind_of_source(source: str) -> str:
    lower = source.lower()
    known = SOURCES.get(lower) or BRANDS.get(lower) or (_known(lower) if "." in lower else None)
    return known.channel if known else CAMPAIGN


def _host(referrer: str) -> str:
    """The host of a referrer in lower case, without its port; '' where it is no URL."""
    try:
        host = (urlsplit(referrer.strip()).hostname or "").rstrip(".")
    except ValueError:
        return ""
    return host if is_host(host) else ""


def _of_host(host: str, page_host: str) -> Origin:
    if page_host and site(host) == site(_bare(page_host)):
        return Origin(INTERNAL, "", "")
    return _known(host) or Origin(REFERRAL, without_www(host), "referral")


def _known(host: str) -> Origin | None:
    labels = host.split(".")
    for start in range(len(labels) - 1):
        if origin := HOSTS.get(".".join(labels[start:])):
            return origin
    return BRANDS.get(site(host).partition(".")[0]) if len(labels) > 1 else None


def _bare(page_host: str) -> str:
    """A page's host without its port and brackets, as a referrer's is given."""
    if page_host.startswith("["):
        return page_host[1:].partition("]")[0]
    return page_host.partition(":")[0]
