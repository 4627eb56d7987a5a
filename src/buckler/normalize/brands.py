"""Brands that phishing imitates most, and luring words; chosen independently of any data set."""

BRANDS = (
    "adobe", "aeon", "airbnb", "alibaba", "allegro", "amazon", "amazonaws", "ameli",
    "americanexpress", "amex", "apple", "axisbank", "bancolombia", "bankofamerica", "barclays",
    "bbva", "binance", "blockchain", "booking", "bradesco", "caixa", "capitalone", "chase",
    "citibank", "coinbase", "correos", "creditagricole", "dhl", "discord", "docusign", "dpd",
    "dropbox", "ebay", "etsy", "exodus", "facebook", "fedex", "github", "gmail", "google",
    "hmrc", "hotmail", "hsbc", "icloud", "inpost", "instagram", "intesa", "itau", "jcb",
    "kraken", "kucoin", "laposte", "ledger", "linkedin", "lloyds", "mastercard", "mercadolibre",
    "metamask", "microsoft", "microsoftonline", "mufg", "natwest", "netflix", "office365",
    "olx", "onedrive", "opensea", "orange", "outlook", "pancakeswap", "paypal", "phantom",
    "postbank", "rakuten", "revolut", "roblox", "santander", "sharepoint", "shopify", "smbc",
    "sparkasse", "spotify", "steamcommunity", "swisscom", "telegram", "tiktok", "trezor",
    "trustwallet", "twitter", "uniswap", "usps", "verizon", "vinted", "visa", "walletconnect",
    "wellsfargo", "wetransfer", "whatsapp", "wise", "yahoo", "youtube", "zelle", "zoom",
)  # fmt: skip
LONG_BRANDS = tuple(brand for brand in BRANDS if len(brand) > 3)  # shorter ones stand in words
LURES = (
    "account", "airdrop", "auth", "bank", "billing", "bonus", "claim", "confirm", "free",
    "gift", "invoice", "login", "password", "payment", "recover", "reward", "secure", "service",
    "signin", "support", "unlock", "update", "verify", "wallet", "webmail",
)  # fmt: skip
