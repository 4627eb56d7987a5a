"""url-category: what is this site about?"""

from buckler.tasks.task import TASKS, URL_COLUMNS, Task

URL_CATEGORY = TASKS.add(
    Task(
        name="url-category",
        description="Content category of a site, judged from its URL alone (29 classes)",
        classes={
            "adult": "Pornography and nudity.",
            "advertising": "Advertising networks, trackers and banner servers.",
            "audio_video": "Streaming, video and music sites.",
            "bank": "Banks and online banking.",
            "blog": "Blogs and blog hosting.",
            "celebrity": "News and pictures of celebrities.",
            "chat": "Chat rooms and instant messaging.",
            "cryptocurrency": "Exchanges, wallets, coins and mining pools.",
            "dating": "Dating and matchmaking.",
            "drugs": "Illegal drugs and their trade.",
            "file_hosting": "File hosting, sharing and download services.",
            "financial": "Stock markets, brokers and financial news.",
            "forums": "Discussion forums and boards.",
            "gambling": "Casinos, lotteries and betting.",
            "games": "Video games, online games and their communities.",
            "hacking": "Hacking tools, exploits and cracking.",
            "manga": "Manga, anime and comics.",
            "press": "Newspapers and news sites.",
            "radio": "Radio stations and their streams.",
            "remote_control": "Remote access and desktop control services.",
            "shopping": "Shops, auctions and price comparison.",
            "social_networks": "Social networks.",
            "sports": "Sports news, clubs and results.",
            "stalkerware": "Software that spies on a person's device.",
            "translation": "Translation services and dictionaries.",
            "url_shortener": "Services that shorten or redirect URLs.",
            "vpn": "VPN services and anonymizing proxies.",
            "warez": "Pirated software, films and music.",
            "webmail": "Webmail services.",
        },
        normalizer="url-site-v1",
        max_bytes=512,
        text_columns=URL_COLUMNS,
        label_columns=("category", "label"),
        group_by="registered-domain",
        guidance=(
            "Judge by the words in the domain, in any language, and by what you know of the site. "
            "Choose the most specific label that fits."
        ),
        medium="url",
    )
)
