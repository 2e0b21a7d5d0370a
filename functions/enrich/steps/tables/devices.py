"""What kind of device a user agent, a system or a client's own word speaks of.

The user agent rules follow what the makers document: Chrome for Android says ``Mobile`` on phones only, television
systems name themselves, Fire tablets begin with ``KF`` and Fire televisions with ``AFT``.
"""

import re

DESKTOP, MOBILE, TABLET, TV, CONSOLE, BOT, OTHER = "desktop", "mobile", "tablet", "tv", "console", "bot", "other"

# In order: the first pattern found decides.
USER_AGENT_TYPES = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        (CONSOLE, r"playstation|xbox|nintendo"),
        (
            TV,
            r"smart-?tv|hbbtv|google ?tv|apple ?tv|android ?tv|philipstv|netcast|web0s|bravia|viera|roku|crkey"
            r"|\bdtv\b|\btv safari|opera tv|tv store|(?-i:\bAFT[A-Z])|aquos|\bbluray\b|\bstb\b",
        ),
        (
            TABLET,
            r"ipad|tablet(?! pc)|playbook|kindle|(?-i:\bKF[A-Z]{2,5}\b)|nexus (?:7|9|10)\b|sm-[tx]\d|gt-p\d|gt-n80"
            r"|xoom|mediapad|android(?!.*mobi)(?=.*(?:applewebkit|gecko/))",
        ),
        (
            MOBILE,
            r"mobi|iphone|ipod|android|windows phone|blackberry|\bbb10\b|opera mini|symbian|series ?60|nokia|midp"
            r"|\bmaui\b|up\.browser|ucweb|palm|webos|kaios",
        ),
        (DESKTOP, r"windows nt|windows|macintosh|mac os x|\bcros\b|x11|linux|bsd|sunos|cygwin"),
    )
)

# ua-parser's names of systems, for user agents that name no device (an app's network library, say).
SYSTEM_TYPES = {
    "iOS": MOBILE,
    "iPadOS": TABLET,
    "Android": MOBILE,
    "Windows": DESKTOP,
    "Mac OS X": DESKTOP,
    "Linux": DESKTOP,
    "Ubuntu": DESKTOP,
    "Chrome OS": DESKTOP,
    "tvOS": TV,
    "ATV OS X": TV,
}

# A client's own word for the type, in lower case.
CLIENT_TYPES = {
    "desktop": DESKTOP,
    "pc": DESKTOP,
    "computer": DESKTOP,
    "laptop": DESKTOP,
    "mobile": MOBILE,
    "phone": MOBILE,
    "smartphone": MOBILE,
    "handset": MOBILE,
    "tablet": TABLET,
    "tv": TV,
    "smarttv": TV,
    "smart_tv": TV,
    "smart-tv": TV,
    "smart tv": TV,
    "television": TV,
    "console": CONSOLE,
    "bot": BOT,
    "other": OTHER,
}

# A platform, or a client's system or "type" that is one, in lower case: the type, and the system's name.
PLATFORMS = {
    "ios": (MOBILE, "iOS"),
    "iphone": (MOBILE, "iOS"),
    "ipados": (TABLET, "iPadOS"),
    "ipad": (TABLET, "iPadOS"),
    "android": (MOBILE, "Android"),
    "tvos": (TV, "tvOS"),
    "apple_tv": (TV, "tvOS"),
    "android_tv": (TV, "Android TV"),
    "roku": (TV, "Roku"),
    "windows": (DESKTOP, "Windows"),
    "macos": (DESKTOP, "Mac OS X"),
    "mac os x": (DESKTOP, "Mac OS X"),
    "linux": (DESKTOP, "Linux"),
    "chromeos": (DESKTOP, "Chrome OS"),
    "desktop": (DESKTOP, ""),
    "xbox": (CONSOLE, "Xbox"),
    "playstation": (CONSOLE, "PlayStation"),
}
