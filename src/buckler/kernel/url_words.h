/* Written by make_url_words.py: do not edit. */
enum { BRAND = 1, LURE = 2, HASH_BITS = 13 };
typedef struct {
    char text[16];
    uint8_t length, kind;
} url_word;
static const url_word url_words[] = {
    {"alibaba", 7, BRAND}, {"amazon", 6, BRAND}, {"amazonaws", 9, BRAND}, {"airdrop", 7, LURE}, 
    {"itau", 4, BRAND}, {"creditagricole", 14, BRAND}, {"capitalone", 10, BRAND}, 
    {"confirm", 7, LURE}, {"caixa", 5, BRAND}, {"gift", 4, LURE}, {"support", 7, LURE}, 
    {"payment", 7, LURE}, {"apple", 5, BRAND}, {"adobe", 5, BRAND}, {"postbank", 8, BRAND}, 
    {"recover", 7, LURE}, {"vinted", 6, BRAND}, {"revolut", 7, BRAND}, {"update", 6, LURE}, 
    {"blockchain", 10, BRAND}, {"paypal", 6, BRAND}, {"coinbase", 8, BRAND}, 
    {"account", 7, LURE}, {"barclays", 8, BRAND}, {"hsbc", 4, BRAND}, {"unlock", 6, LURE}, 
    {"rakuten", 7, BRAND}, {"correos", 7, BRAND}, {"ameli", 5, BRAND}, {"mastercard", 10, BRAND}, 
    {"sparkasse", 9, BRAND}, {"swisscom", 8, BRAND}, {"steamcommunity", 14, BRAND}, 
    {"kucoin", 6, BRAND}, {"fedex", 5, BRAND}, {"claim", 5, LURE}, {"zelle", 5, BRAND}, 
    {"spotify", 7, BRAND}, {"bancolombia", 11, BRAND}, {"exodus", 6, BRAND}, 
    {"billing", 7, LURE}, {"chase", 5, BRAND}, {"auth", 4, LURE}, {"login", 5, LURE}, 
    {"booking", 7, BRAND}, {"axisbank", 8, BRAND}, {"webmail", 7, LURE}, {"ledger", 6, BRAND}, 
    {"wetransfer", 10, BRAND}, {"whatsapp", 8, BRAND}, {"americanexpress", 15, BRAND}, 
    {"visa", 4, BRAND}, {"password", 8, LURE}, {"mufg", 4, BRAND}, {"natwest", 7, BRAND}, 
    {"ebay", 4, BRAND}, {"icloud", 6, BRAND}, {"wellsfargo", 10, BRAND}, {"github", 6, BRAND}, 
    {"metamask", 8, BRAND}, {"orange", 6, BRAND}, {"tiktok", 6, BRAND}, {"bradesco", 8, BRAND}, 
    {"allegro", 7, BRAND}, {"trustwallet", 11, BRAND}, {"netflix", 7, BRAND}, {"hmrc", 4, BRAND}, 
    {"sharepoint", 10, BRAND}, {"amex", 4, BRAND}, {"invoice", 7, LURE}, {"uniswap", 7, BRAND}, 
    {"lloyds", 6, BRAND}, {"wallet", 6, LURE}, {"walletconnect", 13, BRAND}, {"zoom", 4, BRAND}, 
    {"santander", 9, BRAND}, {"free", 4, LURE}, {"onedrive", 8, BRAND}, {"twitter", 7, BRAND}, 
    {"instagram", 9, BRAND}, {"verify", 6, LURE}, {"verizon", 7, BRAND}, {"airbnb", 6, BRAND}, 
    {"aeon", 4, BRAND}, {"youtube", 7, BRAND}, {"discord", 7, BRAND}, {"binance", 7, BRAND}, 
    {"citibank", 8, BRAND}, {"google", 6, BRAND}, {"intesa", 6, BRAND}, {"dropbox", 7, BRAND}, 
    {"inpost", 6, BRAND}, {"smbc", 4, BRAND}, {"service", 7, LURE}, {"telegram", 8, BRAND}, 
    {"laposte", 7, BRAND}, {"trezor", 6, BRAND}, {"roblox", 6, BRAND}, {"outlook", 7, BRAND}, 
    {"linkedin", 8, BRAND}, {"office365", 9, BRAND}, {"wise", 4, BRAND}, {"bonus", 5, LURE}, 
    {"docusign", 8, BRAND}, {"shopify", 7, BRAND}, {"hotmail", 7, BRAND}, {"signin", 6, LURE}, 
    {"bank", 4, LURE}, {"bankofamerica", 13, BRAND}, {"etsy", 4, BRAND}, 
    {"mercadolibre", 12, BRAND}, {"secure", 6, LURE}, {"phantom", 7, BRAND}, 
    {"kraken", 6, BRAND}, {"opensea", 7, BRAND}, {"facebook", 8, BRAND}, {"bbva", 4, BRAND}, 
    {"reward", 6, LURE}, {"pancakeswap", 11, BRAND}, {"usps", 4, BRAND}, {"gmail", 5, BRAND}, 
    {"yahoo", 5, BRAND}, {"microsoft", 9, BRAND}, {"microsoftonline", 15, BRAND}, 
};
static const uint8_t words_by_hash[] = {
    0, 0, 0, 0, 0, 0, 1, 1, 3, 5, 5, 6, 7, 7, 8, 8, 8, 8, 8, 8, 8, 8, 8, 9, 9, 9, 10, 11, 11, 11, 
    11, 11, 12, 12, 13, 13, 13, 15, 15, 16, 16, 16, 16, 16, 16, 17, 17, 19, 20, 20, 20, 21, 21, 
    22, 23, 23, 23, 23, 23, 25, 27, 27, 27, 27, 27, 29, 30, 30, 30, 30, 30, 31, 31, 31, 33, 34, 
    36, 37, 37, 37, 38, 38, 38, 38, 39, 41, 41, 41, 42, 42, 43, 43, 43, 44, 45, 45, 45, 46, 47, 
    48, 48, 48, 50, 51, 51, 51, 52, 53, 54, 55, 56, 57, 57, 57, 58, 58, 58, 58, 60, 60, 60, 61, 
    61, 61, 61, 61, 61, 61, 61, 61, 61, 61, 62, 62, 63, 65, 65, 65, 67, 68, 68, 69, 69, 69, 69, 
    69, 70, 71, 74, 75, 75, 77, 78, 79, 80, 82, 82, 82, 82, 82, 82, 82, 82, 82, 82, 82, 82, 83, 
    85, 85, 85, 85, 85, 86, 88, 88, 88, 89, 89, 89, 89, 90, 91, 91, 92, 92, 92, 93, 93, 94, 94, 
    94, 95, 96, 96, 97, 97, 99, 100, 100, 100, 100, 100, 101, 101, 102, 102, 103, 104, 105, 105, 
    105, 105, 105, 106, 106, 106, 107, 107, 107, 109, 109, 109, 109, 109, 109, 109, 110, 110, 
    111, 111, 111, 111, 111, 111, 112, 113, 114, 114, 114, 114, 115, 115, 115, 116, 116, 116, 
    117, 117, 117, 118, 119, 120, 122, 122, 122, 124, 
};
static const uint32_t word_hashes[1 << (HASH_BITS - 5)] = {
    [5] = 0x40000000, [7] = 0x10000000, [8] = 0x41000000, [10] = 0x8000, [11] = 0x1, 
    [13] = 0x100, [22] = 0x20, [25] = 0x1000000, [26] = 0x80000000, [31] = 0x2, [33] = 0x400000, 
    [36] = 0x20200, [38] = 0x20, [44] = 0x20000, [46] = 0x800200, [47] = 0x400, [50] = 0x2, 
    [52] = 0x4000000, [53] = 0x10000, [58] = 0x40000020, [59] = 0x2000400, [64] = 0x200002, 
    [65] = 0x80, [70] = 0x80, [73] = 0x10000004, [74] = 0x100, [75] = 0x8000100, [76] = 0x8, 
    [79] = 0x20000000, [83] = 0x1000, [84] = 0x4200000, [87] = 0x40000000, [89] = 0x4000000, 
    [92] = 0x1000, [93] = 0x800000, [96] = 0x200000, [97] = 0x20000, [98] = 0x20000, 
    [101] = 0x201, [102] = 0x200000, [105] = 0x80000000, [106] = 0x10000000, [107] = 0x1000000, 
    [108] = 0x10, [109] = 0x20000, [110] = 0x8000, [113] = 0x8000, [117] = 0x4002000, 
    [120] = 0x200, [131] = 0x1, [133] = 0x8000, [134] = 0x81, [137] = 0x22, [138] = 0x2000, 
    [140] = 0x200000, [145] = 0x100000, [146] = 0x80, [147] = 0x48000, [148] = 0x40000000, 
    [150] = 0x14, [151] = 0x20, [152] = 0x200, [153] = 0x20000, [154] = 0x1000, 
    [166] = 0x1000000, [167] = 0x11000000, [172] = 0x8, [173] = 0x40040, [176] = 0x4000000, 
    [180] = 0x80, [181] = 0x80000, [183] = 0x8000, [186] = 0x8000, [188] = 0x1000000, 
    [191] = 0x4000000, [192] = 0x40000000, [194] = 0x20, [196] = 0x8000080, [197] = 0x800, 
    [202] = 0x4, [204] = 0x40, [206] = 0x2, [207] = 0x10000000, [208] = 0x8, [213] = 0x10000, 
    [216] = 0x2, [219] = 0x1000, [226] = 0x20000, [228] = 0x4000, [234] = 0x1000, 
    [235] = 0x1000000, [236] = 0x4000, [240] = 0x10, [243] = 0x200000, [246] = 0x2000, 
    [249] = 0x80000000, [250] = 0x2000, [251] = 0x4000, [252] = 0xc0, [255] = 0x80000000, 
};
static const char short_brands[][4] = {
    "dhl", "dpd", "jcb", "olx", 
};
enum { LONGEST_BRAND = 15 };
typedef struct {
    char text[16];
    uint8_t length;
    uint16_t end;
} near_brand;
static const near_brand near_brands[] = {{"", 0, 0xFFFF}, /* for none */
    {"adobe", 5, 36}, {"airbnb", 6, 41}, {"alibaba", 7, 44}, {"allegro", 7, 44}, 
    {"amazon", 6, 45}, {"amazonaws", 9, 45}, {"ameli", 5, 45}, {"americanexpress", 15, 45}, 
    {"apple", 5, 48}, {"axisbank", 8, 56}, {"bancolombia", 11, 65}, {"bankofamerica", 13, 65}, 
    {"barclays", 8, 65}, {"binance", 7, 73}, {"blockchain", 10, 76}, {"booking", 7, 79}, 
    {"bradesco", 8, 82}, {"caixa", 5, 97}, {"capitalone", 10, 97}, {"chase", 5, 104}, 
    {"citibank", 8, 105}, {"coinbase", 8, 111}, {"correos", 7, 111}, {"creditagricole", 14, 114}, 
    {"discord", 7, 137}, {"docusign", 8, 143}, {"dropbox", 7, 146}, {"exodus", 6, 184}, 
    {"facebook", 8, 193}, {"fedex", 5, 197}, {"github", 6, 233}, {"gmail", 5, 237}, 
    {"google", 6, 239}, {"hotmail", 7, 271}, {"icloud", 6, 291}, {"inpost", 6, 302}, 
    {"instagram", 9, 302}, {"intesa", 6, 302}, {"kraken", 6, 370}, {"kucoin", 6, 373}, 
    {"laposte", 7, 385}, {"ledger", 6, 389}, {"linkedin", 8, 393}, {"lloyds", 6, 396}, 
    {"mastercard", 10, 417}, {"mercadolibre", 12, 421}, {"metamask", 8, 421}, 
    {"microsoft", 9, 425}, {"microsoftonline", 15, 425}, {"natwest", 7, 449}, 
    {"netflix", 7, 453}, {"office365", 9, 486}, {"onedrive", 8, 494}, {"opensea", 7, 496}, 
    {"orange", 6, 498}, {"outlook", 7, 501}, {"pancakeswap", 11, 513}, {"paypal", 6, 513}, 
    {"phantom", 7, 520}, {"postbank", 8, 527}, {"rakuten", 7, 577}, {"revolut", 7, 581}, 
    {"roblox", 6, 591}, {"santander", 9, 609}, {"sharepoint", 10, 616}, {"shopify", 7, 616}, 
    {"sparkasse", 9, 624}, {"spotify", 7, 624}, {"steamcommunity", 14, 628}, 
    {"swisscom", 8, 631}, {"telegram", 8, 645}, {"tiktok", 6, 649}, {"trezor", 6, 658}, 
    {"trustwallet", 11, 658}, {"twitter", 7, 663}, {"uniswap", 7, 686}, {"verizon", 7, 709}, 
    {"vinted", 6, 713}, {"walletconnect", 13, 737}, {"wellsfargo", 10, 741}, 
    {"wetransfer", 10, 741}, {"whatsapp", 8, 744}, {"yahoo", 5, 801}, {"youtube", 7, 815}, 
    {"zelle", 5, 837}, {"paypal", 6, 1068}, {"instagram", 9, 1069}, {"telegram", 8, 1069}, 
    {"pancakeswap", 11, 1072}, {"uniswap", 7, 1072}, {"alibaba", 7, 1089}, {"adobe", 5, 1093}, 
    {"youtube", 7, 1093}, {"bankofamerica", 13, 1121}, {"binance", 7, 1125}, 
    {"bradesco", 8, 1135}, {"walletconnect", 13, 1140}, {"lloyds", 6, 1171}, 
    {"opensea", 7, 1185}, {"vinted", 6, 1188}, {"kraken", 6, 1198}, {"rakuten", 7, 1198}, 
    {"ledger", 6, 1202}, {"santander", 9, 1202}, {"twitter", 7, 1202}, {"wetransfer", 10, 1202}, 
    {"trustwallet", 11, 1204}, {"fedex", 5, 1208}, {"microsoft", 9, 1236}, {"shopify", 7, 1241}, 
    {"spotify", 7, 1241}, {"orange", 6, 1253}, {"docusign", 8, 1262}, {"wellsfargo", 10, 1263}, 
    {"bancolombia", 11, 1313}, {"gmail", 5, 1324}, {"hotmail", 7, 1324}, 
    {"blockchain", 10, 1326}, {"kucoin", 6, 1326}, {"linkedin", 8, 1326}, {"netflix", 7, 1336}, 
    {"apple", 5, 1413}, {"creditagricole", 14, 1413}, {"google", 6, 1413}, {"zelle", 5, 1413}, 
    {"ameli", 5, 1417}, {"airbnb", 6, 1474}, {"capitalone", 10, 1477}, 
    {"microsoftonline", 15, 1477}, {"booking", 7, 1479}, {"axisbank", 8, 1483}, 
    {"citibank", 8, 1483}, {"postbank", 8, 1483}, {"sharepoint", 10, 1492}, 
    {"facebook", 8, 1515}, {"outlook", 7, 1515}, {"tiktok", 6, 1515}, {"phantom", 7, 1517}, 
    {"swisscom", 8, 1517}, {"amazon", 6, 1518}, {"verizon", 7, 1518}, {"yahoo", 5, 1519}, 
    {"trezor", 6, 1522}, {"correos", 7, 1523}, {"dropbox", 7, 1528}, {"roblox", 6, 1528}, 
    {"whatsapp", 8, 1552}, {"discord", 7, 1604}, {"mastercard", 10, 1604}, 
    {"mercadolibre", 12, 1605}, {"allegro", 7, 1615}, {"intesa", 6, 1633}, {"chase", 5, 1637}, 
    {"coinbase", 8, 1637}, {"sparkasse", 9, 1637}, {"metamask", 8, 1643}, 
    {"americanexpress", 15, 1651}, {"inpost", 6, 1652}, {"natwest", 7, 1652}, 
    {"laposte", 7, 1669}, {"steamcommunity", 14, 1689}, {"github", 6, 1698}, {"icloud", 6, 1700}, 
    {"exodus", 6, 1715}, {"revolut", 7, 1716}, {"onedrive", 8, 1733}, {"office365", 9, 1749}, 
    {"amazonaws", 9, 1779}, {"caixa", 5, 1793}, {"barclays", 8, 1843}, 
    {"", 0, 0xFFFF}};
static const uint8_t brands_by_end[2048] = {
    [36] = 0x1, [41] = 0x2, [44] = 0x3, [45] = 0x5, [48] = 0x9, [56] = 0xa, [65] = 0xb, 
    [73] = 0xe, [76] = 0xf, [79] = 0x10, [82] = 0x11, [97] = 0x12, [104] = 0x14, [105] = 0x15, 
    [111] = 0x16, [114] = 0x18, [137] = 0x19, [143] = 0x1a, [146] = 0x1b, [184] = 0x1c, 
    [193] = 0x1d, [197] = 0x1e, [233] = 0x1f, [237] = 0x20, [239] = 0x21, [271] = 0x22, 
    [291] = 0x23, [302] = 0x24, [370] = 0x27, [373] = 0x28, [385] = 0x29, [389] = 0x2a, 
    [393] = 0x2b, [396] = 0x2c, [417] = 0x2d, [421] = 0x2e, [425] = 0x30, [449] = 0x32, 
    [453] = 0x33, [486] = 0x34, [494] = 0x35, [496] = 0x36, [498] = 0x37, [501] = 0x38, 
    [513] = 0x39, [520] = 0x3b, [527] = 0x3c, [577] = 0x3d, [581] = 0x3e, [591] = 0x3f, 
    [609] = 0x40, [616] = 0x41, [624] = 0x43, [628] = 0x45, [631] = 0x46, [645] = 0x47, 
    [649] = 0x48, [658] = 0x49, [663] = 0x4b, [686] = 0x4c, [709] = 0x4d, [713] = 0x4e, 
    [737] = 0x4f, [741] = 0x50, [744] = 0x52, [801] = 0x53, [815] = 0x54, [837] = 0x55, 
    [1068] = 0x56, [1069] = 0x57, [1072] = 0x59, [1089] = 0x5b, [1093] = 0x5c, [1121] = 0x5e, 
    [1125] = 0x5f, [1135] = 0x60, [1140] = 0x61, [1171] = 0x62, [1185] = 0x63, [1188] = 0x64, 
    [1198] = 0x65, [1202] = 0x67, [1204] = 0x6b, [1208] = 0x6c, [1236] = 0x6d, [1241] = 0x6e, 
    [1253] = 0x70, [1262] = 0x71, [1263] = 0x72, [1313] = 0x73, [1324] = 0x74, [1326] = 0x76, 
    [1336] = 0x79, [1413] = 0x7a, [1417] = 0x7e, [1474] = 0x7f, [1477] = 0x80, [1479] = 0x82, 
    [1483] = 0x83, [1492] = 0x86, [1515] = 0x87, [1517] = 0x8a, [1518] = 0x8c, [1519] = 0x8e, 
    [1522] = 0x8f, [1523] = 0x90, [1528] = 0x91, [1552] = 0x93, [1604] = 0x94, [1605] = 0x96, 
    [1615] = 0x97, [1633] = 0x98, [1637] = 0x99, [1643] = 0x9c, [1651] = 0x9d, [1652] = 0x9e, 
    [1669] = 0xa0, [1689] = 0xa1, [1698] = 0xa2, [1700] = 0xa3, [1715] = 0xa4, [1716] = 0xa5, 
    [1733] = 0xa6, [1749] = 0xa7, [1779] = 0xa8, [1793] = 0xa9, [1843] = 0xaa, 
};
/* Lengths, one bit each, that what is nearly one of them may have. */
static const uint32_t lengths_by_end[2048] = {
    [36] = 0x70, [41] = 0xe0, [44] = 0x1c0, [45] = 0x1c7f0, [48] = 0x70, [56] = 0x380, 
    [65] = 0x7f80, [73] = 0x1c0, [76] = 0xe00, [79] = 0x1c0, [82] = 0x380, [97] = 0xe70, 
    [104] = 0x70, [105] = 0x380, [111] = 0x3c0, [114] = 0xe000, [137] = 0x1c0, [143] = 0x380, 
    [146] = 0x1c0, [184] = 0xe0, [193] = 0x380, [197] = 0x70, [233] = 0xe0, [237] = 0x70, 
    [239] = 0xe0, [271] = 0x1c0, [291] = 0xe0, [302] = 0x7e0, [370] = 0xe0, [373] = 0xe0, 
    [385] = 0x1c0, [389] = 0xe0, [393] = 0x380, [396] = 0xe0, [417] = 0xe00, [421] = 0x3b80, 
    [425] = 0x1c700, [449] = 0x1c0, [453] = 0x1c0, [486] = 0x700, [494] = 0x380, [496] = 0x1c0, 
    [498] = 0xe0, [501] = 0x1c0, [513] = 0x1ce0, [520] = 0x1c0, [527] = 0x380, [577] = 0x1c0, 
    [581] = 0x1c0, [591] = 0xe0, [609] = 0x700, [616] = 0xfc0, [624] = 0x7c0, [628] = 0xe000, 
    [631] = 0x380, [645] = 0x380, [649] = 0xe0, [658] = 0x1ce0, [663] = 0x1c0, [686] = 0x1c0, 
    [709] = 0x1c0, [713] = 0xe0, [737] = 0x7000, [741] = 0xe00, [744] = 0x380, [801] = 0x70, 
    [815] = 0x1c0, [837] = 0x70, [1068] = 0xe0, [1069] = 0x780, [1072] = 0x1dc0, [1089] = 0x1c0, 
    [1093] = 0x1f0, [1121] = 0x7000, [1125] = 0x1c0, [1135] = 0x380, [1140] = 0x7000, 
    [1171] = 0xe0, [1185] = 0x1c0, [1188] = 0xe0, [1198] = 0x1e0, [1202] = 0xfe0, 
    [1204] = 0x1c00, [1208] = 0x70, [1236] = 0x700, [1241] = 0x1c0, [1253] = 0xe0, 
    [1262] = 0x380, [1263] = 0xe00, [1313] = 0x1c00, [1324] = 0x1f0, [1326] = 0xfe0, 
    [1336] = 0x1c0, [1413] = 0xe0f0, [1417] = 0x70, [1474] = 0xe0, [1477] = 0x1ce00, 
    [1479] = 0x1c0, [1483] = 0x380, [1492] = 0xe00, [1515] = 0x3e0, [1517] = 0x3c0, 
    [1518] = 0x1e0, [1519] = 0x70, [1522] = 0xe0, [1523] = 0x1c0, [1528] = 0x1e0, [1552] = 0x380, 
    [1604] = 0xfc0, [1605] = 0x3800, [1615] = 0x1c0, [1633] = 0xe0, [1637] = 0x7f0, 
    [1643] = 0x380, [1651] = 0x1c000, [1652] = 0x1e0, [1669] = 0x1c0, [1689] = 0xe000, 
    [1698] = 0xe0, [1700] = 0xe0, [1715] = 0xe0, [1716] = 0x1c0, [1733] = 0x380, [1749] = 0x700, 
    [1779] = 0x700, [1793] = 0x70, [1843] = 0x380, 
};
enum { LONGEST_SITE = 26 };
static const char site_text[] = 
    "zellepay.comdvla.gov.ukau.comspiegel.demyhermes.co.uklinkedin.comkraken.combox.com"
    "xfinity.comcaixabank.comindeed.comoracle.combankwest.com.aubanorte.comcostco.comqq.com"
    "openai.comopensea.iosfr.frsuomi.fidhl.comuniswap.orghealthcare.govfazenda.gov.bro2online.de"
    "messenger.comkpn.comwind.itprotonmail.coming.comt-online.delowes.comsantander.com"
    "jpmorgan.comelpais.comvultr.comseg-social.eszalando.comcitrix.comhomedepot.comanydesk.com"
    "dbs.comstandardbank.co.zaadobelogin.cominstagram.comhalifax-online.co.uktd.comregions.com"
    "asnbank.nlox.ac.ukarxiv.orgisbank.com.tremirates.comgitlab.comscb.co.thmyhermes.de"
    "stanford.edustarlingbank.compostoffice.co.ukkbc.beauspost.com.aueset.comvinted.com"
    "economist.comflipkart.comrediffmail.combnpparibasfortis.bebca.co.idvmware.comatlassian.com"
    "atlassian.netsingpost.comblockchain.comrbc.comspectrum.netparcelforce.comnytimes.comzoho.com"
    "paypal.comnzpost.co.nzhermesworld.comproton.memercadopago.comamazon.comtripadvisor.com"
    "service.gov.ukservicenow.comctt.ptevernote.comcitibankonline.comorico.co.jpsophos.comanz.com"
    "alfabank.rudiscord.comudemy.comfedex.comjapanpost.jp126.comportaldasfinancas.gov.pt"
    "cmbchina.comteamviewer.comnist.govlogin.govdeezer.comea.comstackexchange.com"
    "stackoverflow.combarclays.co.ukerstegroup.comyandex.comtheguardian.comciti.comlaposte.net"
    "bri.co.idintesasanpaolo.comkbstar.combcp.com.penedbank.co.zabancatransilvania.roieee.org"
    "ee.co.ukbelgium.besendgrid.comwhatsapp.comhypovereinsbank.detsb.co.ukworkday.combanamex.com"
    "canadapost.caseznam.czdell.commozilla.orgwooribank.cominps.itunited.comhdfcbank.com"
    "digitalocean.comokx.comname.comhubspot.comchase.compaytm.comsagawa-exp.co.jpbluehost.com"
    "op.fisbi.co.inlyft.comamazon.caamazon.deamazon.esamazon.framazon.inamazon.itamazon.nl"
    "amazon.plamazon.semillenniumbcp.ptlloydsbank.comasana.comwho.intnta.go.jplcl.frrambler.ru"
    "bitpanda.como2.plproximus.betwitter.comrabobank.nlseb.sewsj.comcisa.gov"
    "servicesaustralia.gov.aupayoneer.combitbucket.orgbbc.comvietcombank.com.vnhotels.com"
    "rogers.comvanguard.combouyguestelecom.frmonzo.comgotomeeting.combankmandiri.co.id"
    "bankofamerica.combankofireland.comdanskebank.dkkotak.comsocietegenerale.frdkb.deedf.frgv.at"
    "inter.corobinhood.commbank.plwesternunion.combancoestado.clkaspersky.comhp.comvenmo.com"
    "exodus.comaliexpress.commicrosoftonline.comcash.applufthansa.comevri.comenel.itcanonical.com"
    "tmall.comitau.com.bryoutube.comsparebank1.noexperian.comcdc.govvodafone.co.uk"
    "cimbclicks.com.myamazon.co.jpamazon.co.ukdpd.detarget.comnasa.govmovistar.eshuntington.com"
    "bitstamp.netmyworkdayjobs.comdaum.netmail.ruebay.co.uklemonde.frbni.co.idnordea.com"
    "equifax.como2.co.ukprimevideo.comjetbrains.comengie.frlogmein.comglassdoor.compostfinance.ch"
    "turbotax.comapple.comibm.comtelia.comduolingo.combmo.comcanva.comwikimedia.orgwikipedia.org"
    "ubuntu.combelastingdienst.nlvtb.rurakuten.co.jpstrato.dewetransfer.comgithub.comoutlook.com"
    "icicibank.comminecraft.netdropbox.comgovt.nzplaystation.comcaixa.gov.brcaixabank.es"
    "zendesk.comrbs.co.ukagenziaentrate.gov.itbritishgas.co.ukbanquepopulaire.frweibo.com"
    "bundesfinanzministerium.dewise.comgandi.netwalletconnect.comoffice365.compekao.com.pl"
    "smbc-card.comdhl.dewindows.comid.meboc.cnpython.orgnorton.comkernel.orgcaf.fring.being.de"
    "ing.nlmercari.comdeutschepost.desteampowered.comsantander.desantander.essantander.pl"
    "santander.ptphonepe.cometsy.comshinhan.comovhcloud.combing.comgtbank.combradesco.com.br"
    "bnz.co.nzstandardchartered.comadobe.commailchimp.composten.nopostnl.nlservice-public.fr"
    "docomo.ne.jpnwolb.comraiffeisen.atraiffeisen.chnetflix.comkucoin.comeventbrite.comhsbc.co.uk"
    "yahoo.co.jpgarantibbva.com.tremiratesnbd.comtaobao.comschwab.comhulu.com"
    "microsoftonline-p.comcloudflare.comvinted.frcorreos.esbroadcom.compnbindia.inbankinter.com"
    "canada.calastpass.combt.commastercard.comsina.com.cncolissimo.frsalesforce.comdhlparcel.nl"
    "skatteetaten.noskatteverket.secapitecbank.co.zapaypal.deshopify.comcsas.czsage.combbva.es"
    "bbva.mxasb.co.nzinpost.co.ukeon.desoftbank.jptiktok.comsantander.co.ukfnb.co.zaubisoft.com"
    "walmart.comhetzner.commtb.comallegro.plmail.comskype.comarbeitsagentur.debitdefender.com"
    "deutsche-bank.dewestpac.com.aupost.atpost.chionos.dessa.govdelta.comyandex.ru"
    "saisoncard.co.jpabnamro.nlrakuten.comgoogle.co.ingoogle.co.jpgoogle.co.ukxero.comgouv.fr"
    "gnu.orggov.ukpkobp.plakamai.comtruist.comstgeorge.com.aubelfius.bepnc.comgalicia.ar"
    "quickbooks.comblizzard.cominterbank.pethree.co.ukkasikornbank.comcentrum.cznab.com.aux.com"
    "snsbank.nlhilton.comcredit-agricole.freuropa.euhbomax.compaypay.ne.jpbloomberg.combbva.com"
    "inpost.pldesjardins.comadmin.chfreenet.degc.camaybank.comcommerzbank.decibc.commy.gov.au"
    "zoom.usrbcroyalbank.comauth0.comfree.frusps.comlloydsbank.co.ukjcb.co.jptelegram.org"
    "npmjs.comicloud.comnvidia.comnih.govsantander.com.arsantander.com.brbarclays.commiro.com"
    "okta.comwellsfargo.comgoogle.cagoogle.degoogle.esgoogle.frgoogle.itledger.comvolksbank.de"
    "godaddy.comfbi.govcanadapost-postescanada.cadanskebank.compingidentity.comsquareup.com"
    "gls-group.euintel.comvirgilio.itsony.comline.melinktr.eebancolombia.comticketmaster.com"
    "sf-express.comtutanota.comnotion.sorakuten-bank.co.jprakuten-card.co.jppodatki.gov.pl"
    "orange.comsncf-connect.comubs.comacm.orgvr.dehangseng.comhellosign.comsparkasse.at"
    "sparkasse.deccb.commercadopago.com.armercadopago.com.brforce.comdpd.co.ukrevolut.comatt.com"
    "163.comwp.pldocusign.comdocusign.netnovobanco.ptfedoraproject.orgmufg.jping.com.au"
    "washingtonpost.comdigid.nladidas.comebay.com.aunordea.finordea.seuol.com.bretherscan.io"
    "ups.comhm.comnubank.com.brdbs.com.sgdisneyplus.comingbank.plmcafee.comxbox.commit.edu"
    "metrobankonline.co.ukneteller.comirs.govun.orgklarna.commoneygram.comalipay.cominterac.ca"
    "interia.plroblox.comryanair.comswedbank.eeswedbank.semedicare.govocbc.combahn.delinode.com"
    "crowdstrike.compoczta-polska.plcox.comdashlane.comorange.frriotgames.comredhat.com"
    "synchrony.comchatgpt.combpi.com.phoffice.comoffice.netscotiabank.combpost.betrainline.com"
    "americanexpress.comtelus.comcic.frhostgator.comhostinger.comduosecurity.comepicgames.com"
    "cnn.combund.decapitalone.comtelekom.detelenor.nokiwibank.co.nzuscis.govaa.comgmx.comgmx.net"
    "leboncoin.franz.com.auchronopost.froptus.com.auposte.itposti.fiweb.deaxisbank.comasos.com"
    "monster.comintuit.comsap.comnavyfederal.orgmetamask.iobarclays.debankofscotland.co.uk"
    "klarna.sesunrise.chusa.govaol.comikea.commondialrelay.frwebex.commarriott.comfastmail.com"
    "abchina.combancosabadell.comcgd.ptviabcp.comphantom.approyalmail.comakbank.comcsob.czolx.pl"
    "bofa.comt-mobile.combritishairways.combankaustria.attiscali.itzeit.demastercard.us"
    "openssl.orgkuronekoyamato.co.jpfacebook.comfirstdirect.comexpedia.comameli.frnamecheap.com"
    "maybank2u.com.mydebian.orgetrade.comsteamcommunity.comdb.comzalando.decitizensbank.com"
    "aeon.co.jplazada.comato.gov.auswisscom.chbper.itstate.govpypi.orgtrustwallet.combybit.com"
    "postbank.depostnord.dkpostnord.sebitfinex.combawag.atsnapchat.comlenovo.comkb.czlibero.it"
    "crypto.comanthropic.comionos.combooking.combnpparibas.comhsbc.comgmail.comyahoo.com"
    "verizon.commonday.comgoogle.com.augoogle.com.brnaver.comreuters.comtreasury.govbell.ca"
    "halifax.co.ukmax.comelisa.fi1password.comziraatbank.com.trbancobpm.itbangkokbank.comotto.de"
    "handelsbanken.semabanque.bnpparibasafterpay.comcredit-suisse.comusbank.comairbnb.com"
    "shopee.com.brtinkoff.ruibercaja.esnationwide.co.ukunicredit.itvodafone.devodafone.it"
    "gemini.comcommbank.com.auservice-now.comvk.combitwarden.comclaro.com.brtwitch.tvally.com"
    "klikbca.comonelogin.comzkb.chbbc.co.ukabsa.co.zacooperativebank.co.ukn26.comicbc.com.cn"
    "google.comuob.com.sglaposte.frfastly.comnhs.ukoverheid.nlbattle.netgrammarly.commonobank.ua"
    "bol.com.brstripe.comgls-group.comsecureserver.netcorreios.com.brworldbank.organpost.com"
    "ziggo.nlairtable.comalibaba.combaidu.comlabanquepostale.frborger.dkbcr.roaltinn.nobunq.com"
    "freshdesk.comairfrance.comft.comcaisse-epargne.frslack.comsamsung.comsmbc.co.jpprivatbank.ua"
    "natwest.comjd.comtransunion.commercadolibre.com.armercadolibre.com.mxmercadolivre.com.br"
    "creditkarma.comcreditmutuel.frva.govvodafone.comdnb.noeposcard.co.jpkey.comskat.dk"
    "targobank.deebay.deebay.frebay.itotpbank.hutelstra.comterra.com.brcitizensbankonline.com"
    "swissquote.chbdo.com.phcisco.comfigma.comebay.comtelefonica.combinance.comskrill.comuber.com"
    "coinbase.comvero.fimyworkday.comharvard.educitibank.comvivo.com.brtwilio.comtwint.ch"
    "virustotal.comtim.itelster.despotify.comonlinesbi.sbitrezor.iokakao.comrockstargames.com"
    "pinterest.commsn.comfidelity.comapache.orgtdbank.comeasyjet.comagid.gov.itbestbuy.com"
    "mediamarkt.designal.orgtrello.combancochile.clok.rureddit.compingone.comusaa.com"
    "malwarebytes.combecu.orgbankid.comaib.iemizuhobank.co.jpvisa.comgob.argob.esgob.mxxing.com"
    "consorsbank.demercadolibre.com1and1.comamazon.com.auamazon.com.bramazon.com.mxlive.com"
    "stepstone.dedpd.comovh.commps.itcomcast.comcomcast.netcomdirect.debb.com.bronet.pl"
    "uidai.gov.innike.compancakeswap.financenexi.itdiscover.comfrancetravail.frtelekom.com"
    "boursobank.comboursorama.comcoursera.orgkubernetes.iogmx.dearamex.comavast.comtangerine.ca"
    "sberbank.rudocker.comcam.ac.ukoktapreview.commicrosoft.comaffirm.commeta.comhmrc.gov.uk"
    "hotmail.comnintendo.comquora.com";
static const uint16_t site_ends[] = {
    0, 12, 23, 29, 39, 53, 65, 75, 82, 93, 106, 116, 126, 141, 152, 162, 168, 178, 188, 194, 202, 
    209, 220, 234, 248, 259, 272, 279, 286, 300, 307, 318, 327, 340, 352, 362, 371, 384, 395, 
    405, 418, 429, 436, 454, 468, 481, 501, 507, 518, 528, 536, 545, 558, 570, 580, 589, 600, 
    612, 628, 644, 650, 664, 672, 682, 695, 707, 721, 740, 749, 759, 772, 785, 797, 811, 818, 
    830, 845, 856, 864, 874, 886, 901, 910, 925, 935, 950, 964, 978, 984, 996, 1014, 1025, 1035, 
    1042, 1053, 1064, 1073, 1082, 1094, 1101, 1125, 1137, 1151, 1159, 1168, 1178, 1184, 1201, 
    1218, 1232, 1246, 1256, 1271, 1279, 1290, 1299, 1317, 1327, 1337, 1350, 1370, 1378, 1386, 
    1396, 1408, 1420, 1438, 1447, 1458, 1469, 1482, 1491, 1499, 1510, 1523, 1530, 1540, 1552, 
    1568, 1575, 1583, 1594, 1603, 1612, 1628, 1640, 1645, 1654, 1662, 1671, 1680, 1689, 1698, 
    1707, 1716, 1725, 1734, 1743, 1759, 1773, 1782, 1789, 1798, 1804, 1814, 1826, 1831, 1842, 
    1853, 1864, 1870, 1877, 1885, 1909, 1921, 1934, 1941, 1959, 1969, 1979, 1991, 2009, 2018, 
    2033, 2050, 2067, 2084, 2097, 2106, 2124, 2130, 2136, 2141, 2149, 2162, 2170, 2186, 2200, 
    2213, 2219, 2228, 2238, 2252, 2271, 2279, 2292, 2300, 2307, 2320, 2329, 2340, 2351, 2364, 
    2376, 2383, 2397, 2414, 2426, 2438, 2444, 2454, 2462, 2473, 2487, 2499, 2516, 2524, 2531, 
    2541, 2551, 2560, 2570, 2581, 2589, 2603, 2616, 2624, 2635, 2648, 2662, 2674, 2683, 2690, 
    2699, 2711, 2718, 2727, 2740, 2753, 2763, 2781, 2787, 2800, 2809, 2823, 2833, 2844, 2857, 
    2870, 2881, 2888, 2903, 2915, 2927, 2938, 2947, 2968, 2984, 3002, 3011, 3037, 3045, 3054, 
    3071, 3084, 3096, 3109, 3115, 3126, 3131, 3137, 3147, 3157, 3167, 3173, 3179, 3185, 3191, 
    3202, 3217, 3233, 3245, 3257, 3269, 3281, 3292, 3300, 3311, 3323, 3331, 3341, 3356, 3365, 
    3386, 3395, 3408, 3417, 3426, 3443, 3455, 3464, 3477, 3490, 3501, 3511, 3525, 3535, 3546, 
    3564, 3579, 3589, 3599, 3607, 3628, 3642, 3651, 3661, 3673, 3684, 3697, 3706, 3718, 3724, 
    3738, 3749, 3761, 3775, 3787, 3802, 3817, 3834, 3843, 3854, 3861, 3869, 3876, 3883, 3892, 
    3904, 3910, 3921, 3931, 3946, 3955, 3966, 3977, 3988, 3995, 4005, 4013, 4022, 4039, 4054, 
    4070, 4084, 4091, 4098, 4106, 4113, 4122, 4131, 4147, 4157, 4168, 4180, 4192, 4204, 4212, 
    4219, 4226, 4232, 4240, 4250, 4260, 4275, 4285, 4292, 4302, 4316, 4328, 4340, 4351, 4367, 
    4377, 4387, 4392, 4402, 4412, 4430, 4439, 4449, 4461, 4474, 4482, 4491, 4505, 4513, 4523, 
    4528, 4539, 4553, 4561, 4570, 4577, 4593, 4602, 4609, 4617, 4633, 4642, 4654, 4663, 4673, 
    4683, 4690, 4706, 4722, 4734, 4742, 4750, 4764, 4773, 4782, 4791, 4800, 4809, 4819, 4831, 
    4842, 4849, 4875, 4889, 4905, 4917, 4929, 4938, 4949, 4957, 4964, 4973, 4988, 5004, 5018, 
    5030, 5039, 5057, 5075, 5089, 5099, 5115, 5122, 5129, 5134, 5146, 5159, 5171, 5183, 5190, 
    5208, 5226, 5235, 5244, 5255, 5262, 5269, 5274, 5286, 5298, 5310, 5327, 5334, 5344, 5362, 
    5370, 5380, 5391, 5400, 5409, 5419, 5431, 5438, 5444, 5457, 5467, 5481, 5491, 5501, 5509, 
    5516, 5537, 5549, 5556, 5562, 5572, 5585, 5595, 5605, 5615, 5625, 5636, 5647, 5658, 5670, 
    5678, 5685, 5695, 5710, 5726, 5733, 5745, 5754, 5767, 5777, 5790, 5801, 5811, 5821, 5831, 
    5845, 5853, 5866, 5885, 5894, 5900, 5913, 5926, 5941, 5954, 5961, 5968, 5982, 5992, 6002, 
    6016, 6025, 6031, 6038, 6045, 6057, 6067, 6080, 6092, 6100, 6108, 6114, 6126, 6134, 6145, 
    6155, 6162, 6177, 6188, 6199, 6219, 6228, 6238, 6245, 6252, 6260, 6275, 6284, 6296, 6308, 
    6319, 6336, 6342, 6352, 6363, 6376, 6386, 6393, 6399, 6407, 6419, 6437, 6451, 6461, 6468, 
    6481, 6492, 6512, 6524, 6539, 6550, 6558, 6571, 6587, 6597, 6607, 6625, 6631, 6641, 6657, 
    6667, 6677, 6687, 6698, 6705, 6714, 6722, 6737, 6746, 6757, 6768, 6779, 6791, 6799, 6811, 
    6821, 6826, 6835, 6845, 6858, 6867, 6878, 6892, 6900, 6909, 6918, 6929, 6939, 6952, 6965, 
    6974, 6985, 6997, 7004, 7017, 7024, 7032, 7045, 7062, 7073, 7088, 7095, 7111, 7130, 7142, 
    7159, 7169, 7179, 7192, 7202, 7213, 7229, 7241, 7252, 7263, 7273, 7288, 7303, 7309, 7322, 
    7334, 7343, 7351, 7362, 7374, 7380, 7389, 7399, 7420, 7427, 7438, 7448, 7458, 7468, 7478, 
    7484, 7495, 7505, 7518, 7529, 7539, 7549, 7562, 7578, 7593, 7606, 7616, 7624, 7636, 7647, 
    7656, 7674, 7683, 7689, 7698, 7706, 7719, 7732, 7738, 7755, 7764, 7775, 7785, 7798, 7809, 
    7815, 7829, 7848, 7867, 7886, 7901, 7916, 7922, 7934, 7940, 7954, 7961, 7968, 7980, 7987, 
    7994, 8001, 8011, 8022, 8034, 8056, 8069, 8079, 8088, 8097, 8105, 8119, 8130, 8140, 8148, 
    8160, 8167, 8180, 8191, 8203, 8214, 8224, 8232, 8246, 8252, 8261, 8272, 8285, 8294, 8303, 
    8320, 8333, 8340, 8352, 8362, 8372, 8383, 8394, 8405, 8418, 8428, 8438, 8451, 8456, 8466, 
    8477, 8485, 8501, 8509, 8519, 8525, 8541, 8549, 8555, 8561, 8567, 8575, 8589, 8605, 8614, 
    8627, 8640, 8653, 8661, 8673, 8680, 8687, 8693, 8704, 8715, 8727, 8736, 8743, 8755, 8763, 
    8782, 8789, 8801, 8817, 8828, 8842, 8856, 8868, 8881, 8887, 8897, 8906, 8918, 8929, 8939, 
    8948, 8963, 8976, 8986, 8994, 9005, 9016, 9028, 9037, 
};
static const uint16_t sites_by_hash[] = {
    0, 4, 6, 8, 12, 14, 15, 21, 23, 25, 28, 32, 36, 41, 42, 45, 48, 49, 50, 53, 55, 59, 60, 64, 
    67, 72, 75, 77, 78, 81, 85, 89, 91, 94, 96, 100, 106, 110, 114, 119, 124, 124, 127, 130, 133, 
    135, 139, 142, 145, 157, 161, 166, 172, 173, 175, 176, 181, 182, 182, 187, 191, 195, 198, 
    203, 206, 208, 210, 211, 218, 222, 226, 226, 229, 233, 238, 243, 243, 245, 250, 253, 256, 
    260, 261, 266, 270, 273, 278, 281, 281, 282, 290, 297, 299, 302, 309, 312, 312, 316, 320, 
    320, 321, 323, 325, 330, 334, 335, 339, 340, 349, 350, 355, 356, 357, 361, 362, 363, 368, 
    378, 382, 385, 388, 390, 392, 394, 396, 398, 400, 404, 406, 410, 413, 415, 420, 422, 424, 
    428, 435, 436, 441, 443, 447, 453, 456, 459, 460, 463, 464, 470, 477, 480, 483, 485, 489, 
    493, 496, 497, 499, 503, 505, 513, 517, 517, 520, 522, 524, 528, 531, 532, 535, 539, 542, 
    545, 550, 555, 557, 561, 565, 570, 572, 577, 580, 583, 586, 588, 592, 594, 597, 598, 599, 
    599, 605, 607, 614, 616, 619, 626, 632, 634, 636, 638, 640, 643, 645, 647, 649, 650, 653, 
    658, 660, 663, 664, 666, 667, 669, 672, 676, 679, 681, 684, 686, 689, 693, 695, 698, 700, 
    705, 720, 727, 728, 731, 734, 736, 736, 738, 742, 749, 753, 755, 762, 767, 768, 771, 775, 
    775, 779, 787, 794, 797, 799, 804, 806, 808, 813, 815, 817, 820, 821, 
};
static const uint32_t site_hashes[1 << (HASH_BITS - 5)] = {
    [0] = 0x1006008, [1] = 0x802, [2] = 0x80004000, [3] = 0x224, [4] = 0x1000, [5] = 0x800000, 
    [6] = 0x1000291, [7] = 0x80080, [8] = 0x40000, [9] = 0x1008010, [10] = 0x4140, 
    [11] = 0x8240004, [12] = 0x80240090, [13] = 0x1000000, [14] = 0x20210, [15] = 0x20008400, 
    [16] = 0x800000, [17] = 0x10000000, [18] = 0x220, [19] = 0x802000, [20] = 0x20012, 
    [21] = 0x80, [22] = 0x421010, [23] = 0x48000002, [24] = 0x14200800, [25] = 0x80800400, 
    [26] = 0x20040, [27] = 0x8, [28] = 0x902, [29] = 0x30004040, [30] = 0x3000000, 
    [31] = 0x4040000, [32] = 0x10200008, [33] = 0x800008, [34] = 0x8810100, [35] = 0x2011141, 
    [36] = 0x40030, [37] = 0x40043000, [38] = 0x80800281, [39] = 0xa0481000, [41] = 0x28200, 
    [42] = 0x81800, [43] = 0x800a00, [44] = 0x8200, [45] = 0x12080080, [46] = 0x60000200, 
    [47] = 0x8082, [48] = 0x10004008, [49] = 0x81008040, [50] = 0x100832, [51] = 0x10c40240, 
    [52] = 0x1000000, [53] = 0x802, [54] = 0x100, [55] = 0x10a10400, [56] = 0x4000, 
    [58] = 0x4001200, [59] = 0x40000210, [60] = 0x1c0, [61] = 0x2001200, [62] = 0xc0340000, 
    [63] = 0x2020004, [64] = 0x80001, [65] = 0x40000001, [66] = 0x10000000, [67] = 0x1080c880, 
    [68] = 0x80004006, [69] = 0x202840, [71] = 0x1020400, [72] = 0x10a008, [73] = 0x801022, 
    [74] = 0x4460000, [76] = 0x2000002, [77] = 0x24280000, [78] = 0x12008000, [79] = 0x8002001, 
    [80] = 0x2c2000, [81] = 0x200000, [82] = 0x6010020, [83] = 0x20001001, [84] = 0x48040, 
    [85] = 0x1008104, [86] = 0x80004008, [88] = 0x2000, [89] = 0x10044105, [90] = 0x40024004, 
    [91] = 0x42, [92] = 0x10008080, [93] = 0x11020610, [94] = 0x2010, [96] = 0x42000102, 
    [97] = 0x80000380, [99] = 0x10000000, [100] = 0x84000000, [101] = 0x20000, [102] = 0x81422, 
    [103] = 0x100000a1, [104] = 0x10000000, [105] = 0x9400000, [106] = 0x1, [107] = 0x40e0aa, 
    [108] = 0x40, [109] = 0x60015, [110] = 0x1000000, [111] = 0x10000, [112] = 0x40004401, 
    [113] = 0x800, [114] = 0x40000, [115] = 0x160200, [116] = 0x86301800, [117] = 0x50210000, 
    [118] = 0x20000180, [119] = 0x400009, [120] = 0xa0, [121] = 0x2001000, [122] = 0x410000, 
    [123] = 0x800400, [124] = 0x8008, [125] = 0x8000400, [126] = 0xa402, [127] = 0x20000040, 
    [128] = 0x41030, [129] = 0x40000008, [130] = 0x4800000, [131] = 0x600c010, [132] = 0xc000, 
    [133] = 0x110000, [134] = 0x824, [135] = 0x4008008, [136] = 0x20000, [137] = 0x4080281, 
    [138] = 0x10080, [139] = 0x8002a0, [140] = 0x40019800, [141] = 0x2000000, [142] = 0x200220, 
    [143] = 0x4000, [144] = 0x444000, [145] = 0x80, [146] = 0x404180, [147] = 0x14020a02, 
    [148] = 0x1000140, [149] = 0x2002100, [150] = 0x20010, [151] = 0x22002000, [152] = 0x1000058, 
    [153] = 0x800108, [154] = 0x400, [155] = 0x4800000, [156] = 0x44002, [157] = 0x40004000, 
    [158] = 0x9000680, [159] = 0x9900, [161] = 0x220, [162] = 0x8000800, [163] = 0x40008000, 
    [164] = 0x800004, [165] = 0x201080, [166] = 0x4000000, [167] = 0x4000000, [168] = 0x22800002, 
    [169] = 0x4000001, [170] = 0x20009000, [171] = 0x600028, [172] = 0x228000, [173] = 0x6000, 
    [174] = 0x4024080, [175] = 0x41020, [176] = 0x24004, [177] = 0x820000, [178] = 0x1021002, 
    [179] = 0x8100010, [180] = 0x10010800, [181] = 0x21001, [182] = 0x82, [183] = 0x4280010, 
    [184] = 0x200800, [185] = 0x5200, [186] = 0x8000000, [187] = 0x10000000, [189] = 0x29040082, 
    [190] = 0x204, [191] = 0x30090, [192] = 0x80800, [193] = 0x48100, [194] = 0x40850204, 
    [195] = 0x40050c0, [196] = 0xa0000, [197] = 0x20000020, [198] = 0x400400, [199] = 0x24000000, 
    [200] = 0x1020, [201] = 0x401000, [202] = 0x408000, [203] = 0x1008000, [204] = 0x1000000, 
    [205] = 0x28, [206] = 0x408090, [207] = 0x1040000, [208] = 0x8000880, [209] = 0x200, 
    [210] = 0x9, [211] = 0x20, [212] = 0x102, [213] = 0x40000008, [214] = 0x54040000, 
    [215] = 0x82800000, [216] = 0x60000, [217] = 0x10204000, [218] = 0x1020, [219] = 0x800802, 
    [220] = 0x41040000, [221] = 0x4000100, [222] = 0x20020008, [223] = 0x1000010, [224] = 0x9422, 
    [225] = 0x840d212, [226] = 0x44120004, [227] = 0x40000, [228] = 0x10010004, 
    [229] = 0x4020080, [230] = 0x80040, [232] = 0x5000000, [233] = 0x47000, [234] = 0x20802204, 
    [235] = 0x20000121, [236] = 0x480, [237] = 0x1052420, [238] = 0x8801022, [239] = 0x80, 
    [240] = 0x401004, [241] = 0x90401000, [243] = 0x84000000, [244] = 0x12004100, 
    [245] = 0x140802, [246] = 0x802020, [247] = 0x4002000, [248] = 0x14000808, [249] = 0x20008, 
    [250] = 0x108, [251] = 0x30000620, [252] = 0x80000008, [253] = 0x4000001, [254] = 0x2010020, 
    [255] = 0x8000000, 
};
static const char *const user_content[] = {
    "app.box.com", "colab.research.google.com", "customervoice.microsoft.com", "dl.dropbox.com", 
    "docs.google.com", "drive.google.com", "forms.google.com", "forms.office.com", 
    "gist.github.com", "groups.google.com", "l.facebook.com", "lm.facebook.com", 
    "onedrive.live.com", "raw.github.com", "script.google.com", "sites.google.com", 
    "storage.cloud.google.com", "sway.office.com", "translate.google.com", 
};
