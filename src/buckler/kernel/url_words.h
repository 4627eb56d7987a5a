/* Written by make_url_words.py: do not edit. */
enum { BRAND = 1, LURE = 2, HASH_BITS = 15 };
typedef struct {
    char text[16];
    uint8_t length, kind;
} url_word;
static const url_word url_words[] = {
    {"alibaba", 7, BRAND}, {"amazonaws", 9, BRAND}, {"amazon", 6, BRAND}, {"airdrop", 7, LURE}, 
    {"itau", 4, BRAND}, {"creditagricole", 14, BRAND}, {"capitalone", 10, BRAND}, 
    {"confirm", 7, LURE}, {"caixa", 5, BRAND}, {"gift", 4, LURE}, {"support", 7, LURE}, 
    {"payment", 7, LURE}, {"apple", 5, BRAND}, {"postbank", 8, BRAND}, {"adobe", 5, BRAND}, 
    {"recover", 7, LURE}, {"vinted", 6, BRAND}, {"revolut", 7, BRAND}, {"update", 6, LURE}, 
    {"blockchain", 10, BRAND}, {"paypal", 6, BRAND}, {"coinbase", 8, BRAND}, 
    {"account", 7, LURE}, {"barclays", 8, BRAND}, {"hsbc", 4, BRAND}, {"rakuten", 7, BRAND}, 
    {"unlock", 6, LURE}, {"correos", 7, BRAND}, {"ameli", 5, BRAND}, {"mastercard", 10, BRAND}, 
    {"sparkasse", 9, BRAND}, {"steamcommunity", 14, BRAND}, {"swisscom", 8, BRAND}, 
    {"kucoin", 6, BRAND}, {"fedex", 5, BRAND}, {"claim", 5, LURE}, {"zelle", 5, BRAND}, 
    {"spotify", 7, BRAND}, {"bancolombia", 11, BRAND}, {"billing", 7, LURE}, 
    {"exodus", 6, BRAND}, {"chase", 5, BRAND}, {"auth", 4, LURE}, {"login", 5, LURE}, 
    {"booking", 7, BRAND}, {"axisbank", 8, BRAND}, {"webmail", 7, LURE}, {"ledger", 6, BRAND}, 
    {"wetransfer", 10, BRAND}, {"whatsapp", 8, BRAND}, {"americanexpress", 15, BRAND}, 
    {"visa", 4, BRAND}, {"password", 8, LURE}, {"mufg", 4, BRAND}, {"natwest", 7, BRAND}, 
    {"ebay", 4, BRAND}, {"icloud", 6, BRAND}, {"wellsfargo", 10, BRAND}, {"metamask", 8, BRAND}, 
    {"github", 6, BRAND}, {"orange", 6, BRAND}, {"tiktok", 6, BRAND}, {"bradesco", 8, BRAND}, 
    {"trustwallet", 11, BRAND}, {"allegro", 7, BRAND}, {"netflix", 7, BRAND}, {"hmrc", 4, BRAND}, 
    {"sharepoint", 10, BRAND}, {"amex", 4, BRAND}, {"invoice", 7, LURE}, {"uniswap", 7, BRAND}, 
    {"walletconnect", 13, BRAND}, {"lloyds", 6, BRAND}, {"wallet", 6, LURE}, {"zoom", 4, BRAND}, 
    {"santander", 9, BRAND}, {"free", 4, LURE}, {"onedrive", 8, BRAND}, {"twitter", 7, BRAND}, 
    {"instagram", 9, BRAND}, {"verizon", 7, BRAND}, {"verify", 6, LURE}, {"airbnb", 6, BRAND}, 
    {"youtube", 7, BRAND}, {"aeon", 4, BRAND}, {"discord", 7, BRAND}, {"citibank", 8, BRAND}, 
    {"binance", 7, BRAND}, {"google", 6, BRAND}, {"intesa", 6, BRAND}, {"dropbox", 7, BRAND}, 
    {"inpost", 6, BRAND}, {"smbc", 4, BRAND}, {"service", 7, LURE}, {"telegram", 8, BRAND}, 
    {"laposte", 7, BRAND}, {"trezor", 6, BRAND}, {"outlook", 7, BRAND}, {"roblox", 6, BRAND}, 
    {"linkedin", 8, BRAND}, {"office365", 9, BRAND}, {"wise", 4, BRAND}, {"bonus", 5, LURE}, 
    {"docusign", 8, BRAND}, {"shopify", 7, BRAND}, {"hotmail", 7, BRAND}, {"signin", 6, LURE}, 
    {"bankofamerica", 13, BRAND}, {"bank", 4, LURE}, {"etsy", 4, BRAND}, 
    {"mercadolibre", 12, BRAND}, {"secure", 6, LURE}, {"phantom", 7, BRAND}, 
    {"kraken", 6, BRAND}, {"opensea", 7, BRAND}, {"facebook", 8, BRAND}, {"bbva", 4, BRAND}, 
    {"reward", 6, LURE}, {"pancakeswap", 11, BRAND}, {"usps", 4, BRAND}, {"gmail", 5, BRAND}, 
    {"yahoo", 5, BRAND}, {"microsoftonline", 15, BRAND}, {"microsoft", 9, BRAND}, 
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
    [23] = 0x4000000, [31] = 0x80000, [35] = 0x8000001, [41] = 0x10000000, [44] = 0x1, 
    [53] = 0x4, [88] = 0x100000, [103] = 0x1, [107] = 0x10000000, [124] = 0x20, 
    [134] = 0x2000000, [145] = 0x40, [146] = 0x20, [152] = 0x200000, [178] = 0x10, [185] = 0x40, 
    [186] = 0x40000000, [189] = 0x200, [200] = 0x20, [211] = 0x100, [214] = 0x8, 
    [232] = 0x200000, [235] = 0x4000000, [237] = 0x100, [239] = 0x20, [256] = 0x10, 
    [258] = 0x200000, [260] = 0x40000000, [280] = 0x20000000, [292] = 0x400, [295] = 0x40000, 
    [297] = 0x1, [301] = 0x1, [303] = 0x2000, [304] = 0x8000, [319] = 0x100000, [333] = 0x80000, 
    [338] = 0x400000, [339] = 0x200, [351] = 0x4000000, [359] = 0x800, [369] = 0x20000, 
    [374] = 0x80000000, [386] = 0x100000, [390] = 0x80, [394] = 0x80, [404] = 0x1, [405] = 0x20, 
    [410] = 0x200000, [423] = 0x80000000, [427] = 0x40000, [431] = 0x2, [432] = 0x80000, 
    [438] = 0x10, [441] = 0x40000000, [453] = 0x10000000, [469] = 0x800000, [471] = 0x400, 
    [481] = 0x80, [524] = 0x8, [533] = 0x80000000, [536] = 0x10000008, [548] = 0x200040, 
    [553] = 0x400000, [562] = 0x200000, [582] = 0x10000, [584] = 0x40000000, [589] = 0x40000000, 
    [590] = 0x100, [595] = 0x2000000, [600] = 0x10400, [604] = 0x400000, [609] = 0x40, 
    [614] = 0x40, [617] = 0x80000, [667] = 0x1, [671] = 0x10008, [688] = 0x1000, 
    [692] = 0x4000000, [694] = 0x100, [707] = 0x400, [720] = 0x80000000, [726] = 0x2000, 
    [733] = 0x20000000, [745] = 0x80000000, [755] = 0x1, [767] = 0x100, [771] = 0x2000000, 
    [776] = 0x100000, [784] = 0x10000000, [787] = 0x8000, [789] = 0x8000, [808] = 0x100, 
    [816] = 0x8000000, [824] = 0x80, [831] = 0x20000, [832] = 0x2000, [854] = 0x1, [864] = 0x40, 
    [877] = 0x80000, [906] = 0x20, [913] = 0x2000000, [937] = 0x10000, [943] = 0x8, 
    [945] = 0x1000000, [960] = 0x10000, [974] = 0x100000, [985] = 0x100000, [999] = 0x80000000, 
    [1001] = 0x800000, [1005] = 0x4000000, [1008] = 0x42000000, [1023] = 0x20000000, 
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
/* Three letters and the length of what is nearly one of them. */
static const uint32_t near_hashes[1 << (HASH_BITS - 5)] = {
    [0] = 0x2000, [2] = 0x10000, [3] = 0x200, [4] = 0x2000, [5] = 0x80000100, [9] = 0x2000000, 
    [10] = 0x20000200, [13] = 0x10000000, [14] = 0x4000000, [15] = 0x4000, [16] = 0x1000000, 
    [17] = 0x4000000, [19] = 0x40000, [20] = 0x50000000, [23] = 0x20, [25] = 0x41000000, 
    [30] = 0x10280440, [31] = 0x40, [32] = 0x40000000, [33] = 0x400001, [35] = 0x2000, 
    [36] = 0x800, [39] = 0x10000, [40] = 0x201, [41] = 0x115800, [42] = 0x1000, [43] = 0xa00200, 
    [44] = 0x100, [46] = 0x400000, [48] = 0x8000080, [49] = 0x8000010, [50] = 0x10, [52] = 0x100, 
    [56] = 0x20, [58] = 0x20000, [60] = 0x28000001, [62] = 0x21000c10, [63] = 0x102002, 
    [64] = 0x40000000, [65] = 0x400000, [67] = 0x100, [68] = 0x200024, [69] = 0x800002, 
    [70] = 0x8000, [71] = 0x2, [74] = 0x80, [75] = 0x400100, [78] = 0x5000000, [79] = 0x400000, 
    [80] = 0x8000, [81] = 0x20000001, [85] = 0x4002, [86] = 0x100010, [89] = 0x2, [90] = 0x1000, 
    [91] = 0x1, [92] = 0x60000, [96] = 0x40100000, [98] = 0x80020000, [99] = 0x20, 
    [100] = 0x21000010, [101] = 0x1080000, [103] = 0x800, [105] = 0x400, [106] = 0x100, 
    [107] = 0x400000, [108] = 0x2, [109] = 0x400080, [110] = 0x800, [112] = 0x20000, 
    [115] = 0x200000, [116] = 0x1000, [117] = 0x80040000, [118] = 0x8000000, [119] = 0x480, 
    [124] = 0x400, [125] = 0x15000020, [126] = 0x800, [127] = 0x20000, [128] = 0x40000, 
    [131] = 0x80, [132] = 0x200001, [133] = 0x4, [134] = 0x400000, [135] = 0x80000000, 
    [136] = 0x8000000, [137] = 0x1002000, [138] = 0x808000, [139] = 0x101000, [142] = 0x80000, 
    [143] = 0x104000, [144] = 0x250, [145] = 0x100010, [146] = 0x8000, [147] = 0x100000, 
    [148] = 0x2, [149] = 0x800, [150] = 0x280, [151] = 0x1000000, [154] = 0x10, [155] = 0x8200, 
    [157] = 0x20900000, [159] = 0x80000000, [160] = 0x240000, [161] = 0x80000, [162] = 0x8000000, 
    [167] = 0x200020c0, [168] = 0x40000, [169] = 0x20, [171] = 0x4000080, [172] = 0x800000, 
    [176] = 0x400, [177] = 0x1400000, [179] = 0x20, [180] = 0x4000000, [181] = 0x5004, 
    [184] = 0x800, [186] = 0x8000, [187] = 0x40000000, [188] = 0x2100000, [190] = 0x8000000, 
    [191] = 0x200000, [192] = 0x400000, [196] = 0x800, [197] = 0x4000800, [198] = 0x400000, 
    [199] = 0x2000, [200] = 0x1, [204] = 0x80000, [205] = 0x40020, [206] = 0x2000, [207] = 0x81, 
    [209] = 0x1010000, [210] = 0x2400000, [213] = 0x50000000, [215] = 0x800000, [217] = 0x20000, 
    [219] = 0x100, [221] = 0x40000008, [222] = 0x100000, [227] = 0xc001000, [228] = 0x1000, 
    [229] = 0x2000000, [230] = 0x2000000, [232] = 0x41000000, [234] = 0x80000000, 
    [237] = 0x181000, [238] = 0x8000, [242] = 0x4, [243] = 0x200, [244] = 0x2000, 
    [245] = 0x80000100, [247] = 0x1000, [248] = 0x40000000, [250] = 0x200, [253] = 0x10000000, 
    [254] = 0x4000000, [255] = 0x104004, [256] = 0x1000000, [257] = 0x4004000, [259] = 0x40000, 
    [260] = 0x10000000, [263] = 0x40000020, [265] = 0x40000000, [269] = 0x4000, [270] = 0x40, 
    [271] = 0x40, [272] = 0x40000088, [273] = 0x400000, [274] = 0x1000, [275] = 0x2080, 
    [276] = 0x800, [277] = 0x4, [278] = 0x200, [280] = 0x301, [281] = 0x100800, [282] = 0x403000, 
    [283] = 0xa00200, [284] = 0x400100, [285] = 0x1000000, [286] = 0x400000, [288] = 0x8000081, 
    [289] = 0x8000000, [290] = 0x40000010, [291] = 0x20000, [293] = 0x1000000, 
    [296] = 0x20000020, [298] = 0x20000, [300] = 0x20000000, [302] = 0x21000c90, 
    [303] = 0x102002, [304] = 0x40000080, [305] = 0x420000, [306] = 0x4, [307] = 0x100, 
    [308] = 0x200024, [310] = 0x8040, [311] = 0x2, [314] = 0x100000, [315] = 0x400000, 
    [316] = 0x4000800, [318] = 0x5000000, [319] = 0x400000, [320] = 0x8000, [321] = 0x20000001, 
    [325] = 0x4002, [330] = 0x1000, [331] = 0x100001, [332] = 0x20000, [336] = 0x40104000, 
    [338] = 0x80000000, [340] = 0x1000010, [341] = 0x1000000, [343] = 0x800, [345] = 0x500, 
    [346] = 0x80001000, [347] = 0x400000, [349] = 0x600080, [353] = 0x1, [355] = 0x200000, 
    [356] = 0x20001000, [357] = 0x80000010, [359] = 0x80, [365] = 0x1000020, [366] = 0x800, 
    [370] = 0x800, [372] = 0x20001, [373] = 0x14, [374] = 0x400000, [375] = 0x80000000, 
    [376] = 0x48000000, [377] = 0x1002000, [378] = 0x8000, [379] = 0x4101000, [382] = 0x94000, 
    [383] = 0x100000, [384] = 0x250, [386] = 0x8000, [387] = 0x100000, [388] = 0x200002, 
    [389] = 0x800, [390] = 0x280, [391] = 0x1000000, [394] = 0x10, [395] = 0x8200, 
    [397] = 0x20800000, [398] = 0x2, [399] = 0x80100000, [400] = 0x40000, [401] = 0x80000, 
    [407] = 0x20c0, [408] = 0x40000, [409] = 0x20820, [412] = 0x800000, [414] = 0x8000, 
    [415] = 0x2000, [416] = 0x400, [417] = 0x1000000, [418] = 0x10, [419] = 0x20, 
    [420] = 0x4000000, [421] = 0x5004, [424] = 0x2000800, [425] = 0x400000, [426] = 0x8000, 
    [427] = 0x40000000, [428] = 0x2000000, [431] = 0x1200000, [434] = 0x20100000, [436] = 0x800, 
    [437] = 0x4000800, [438] = 0x400000, [440] = 0x1, [441] = 0x100000, [444] = 0x80000, 
    [445] = 0x40005, [446] = 0x2000, [447] = 0x81, [449] = 0x1000000, [450] = 0x2000000, 
    [453] = 0x50000000, [456] = 0x40000000, [457] = 0x20000, [459] = 0x100, [461] = 0x80, 
    [464] = 0x80, [467] = 0xc001000, [468] = 0x1000, [469] = 0x2000000, [472] = 0x41000010, 
    [473] = 0x800000, [474] = 0x40, [476] = 0x1000, [477] = 0x181000, [478] = 0x8000, 
    [482] = 0x4, [483] = 0x20, [484] = 0x40042000, [485] = 0x80000100, [487] = 0x1000, 
    [488] = 0x40000000, [490] = 0x200, [492] = 0x100, [495] = 0x1100004, [497] = 0x4004, 
    [499] = 0x40200000, [500] = 0x10, [503] = 0x40000020, [509] = 0x4000, [510] = 0x40, 
    [511] = 0xc0, [512] = 0x40800088, [513] = 0x800, [514] = 0x801000, [515] = 0x2080, 
    [516] = 0x800, [517] = 0x4, [518] = 0x400200, [519] = 0x1, [520] = 0x80301, [521] = 0xa00, 
    [522] = 0x406000, [523] = 0x200, [524] = 0x400000, [525] = 0x1000000, [526] = 0x400000, 
    [528] = 0x8000005, [530] = 0x40000000, [531] = 0xa0000, [533] = 0x1000000, [534] = 0x10, 
    [536] = 0x20000020, [538] = 0x28000, [540] = 0x20000000, [542] = 0x20000880, [543] = 0x2002, 
    [544] = 0x40002080, [545] = 0x420000, [546] = 0x10004, [548] = 0x200024, [550] = 0x40, 
    [551] = 0x2, [553] = 0x2000000, [554] = 0x20100000, [556] = 0x4000800, [558] = 0x4000000, 
    [559] = 0x400000, [561] = 0x20000001, [564] = 0x40000000, [565] = 0x2, [569] = 0x1000000, 
    [570] = 0x1000, [571] = 0x100000, [572] = 0x20000, [574] = 0x10280400, [576] = 0x104000, 
    [577] = 0x1, [578] = 0x80000000, [580] = 0x1000800, [581] = 0x1000000, [583] = 0x10000, 
    [585] = 0x15100, [586] = 0x80001000, [587] = 0x400000, [589] = 0x600080, [593] = 0x11, 
    [596] = 0x20000100, [597] = 0x10, [599] = 0x80, [604] = 0x8000001, [605] = 0x1000020, 
    [606] = 0x800, [610] = 0x800, [612] = 0x20004, [613] = 0x800012, [615] = 0x80000000, 
    [616] = 0x40000000, [617] = 0x1000000, [618] = 0x80, [619] = 0x4101100, [622] = 0x94000, 
    [623] = 0x100000, [624] = 0x200, [626] = 0x8000, [628] = 0x200000, [629] = 0x800, 
    [630] = 0x100210, [633] = 0x2, [635] = 0x200, [636] = 0x60000, [637] = 0x20800000, 
    [638] = 0x2, [639] = 0x80100000, [640] = 0x40000, [642] = 0x20000, [643] = 0x20, 
    [644] = 0x20000000, [645] = 0x80000, [647] = 0x800, [648] = 0x40000, [649] = 0x20820, 
    [650] = 0x100, [652] = 0x2, [654] = 0x8800, [655] = 0x2000, [656] = 0x20000, 
    [657] = 0x1000000, [658] = 0x10, [659] = 0x200000, [660] = 0x4000000, [661] = 0x44004, 
    [662] = 0x8000000, [663] = 0x400, [664] = 0x2000000, [665] = 0x400000, [668] = 0x400, 
    [669] = 0x14000000, [671] = 0x1020000, [672] = 0x40000, [674] = 0x20100000, [675] = 0x80, 
    [676] = 0x200000, [677] = 0x800, [681] = 0x100000, [682] = 0x800000, [684] = 0x80000, 
    [685] = 0x5, [687] = 0x4001, [689] = 0x100010, [690] = 0x2000000, [693] = 0x40000000, 
    [696] = 0x40000000, [697] = 0x20000, [701] = 0x100080, [704] = 0x200080, [706] = 0x8000000, 
    [707] = 0x8000000, [708] = 0x1000, [711] = 0x20000000, [712] = 0x1000010, [713] = 0x800000, 
    [714] = 0x40, [715] = 0x4000080, [716] = 0x1000, [717] = 0x80000, [721] = 0x400000, 
    [722] = 0x4, [723] = 0x20, [724] = 0x40040000, [725] = 0x100, [727] = 0x1000, 
    [728] = 0x40000000, [731] = 0x40000000, [732] = 0x100100, [734] = 0x8000000, 
    [735] = 0x1100004, [736] = 0x400000, [737] = 0x4004, [739] = 0x40200000, [740] = 0x10, 
    [743] = 0x40002000, [749] = 0x4020, [751] = 0x80, [752] = 0x800088, [753] = 0x10800, 
    [754] = 0xc01000, [755] = 0x80, [756] = 0x800, [757] = 0x4, [758] = 0x400200, 
    [759] = 0x800001, [760] = 0x80101, [761] = 0x200, [762] = 0x406000, [764] = 0x400000, 
    [765] = 0x41000008, [766] = 0x100000, [768] = 0x5, [770] = 0x40000000, [771] = 0xa0000, 
    [773] = 0x1000000, [774] = 0x2000010, [776] = 0x20000000, [778] = 0x80008000, [782] = 0x880, 
    [784] = 0x2080, [785] = 0x20000, [786] = 0x10004, [787] = 0x200, [789] = 0x100, [790] = 0x40, 
    [793] = 0x2000000, [794] = 0x20100000, [796] = 0x4000800, [797] = 0x10000000, 
    [798] = 0x4000000, [799] = 0x4000, [800] = 0x1000000, [801] = 0x24000000, [803] = 0x40000, 
    [804] = 0x50000000, [809] = 0x41000000, [811] = 0x100000, [812] = 0x20000, 
    [814] = 0x10280400, [816] = 0x4000, [817] = 0x400001, [820] = 0x800, [823] = 0x10000, 
    [825] = 0x115100, [826] = 0x80001000, [827] = 0xa00000, [828] = 0x100, [829] = 0x200000, 
    [832] = 0x80, [833] = 0x8000011, [834] = 0x10, [836] = 0x20000100, [837] = 0x10, 
    [844] = 0x8000001, [846] = 0x1000c10, [847] = 0x100000, [850] = 0x800, [851] = 0x100, 
    [852] = 0x20004, [853] = 0x800012, [854] = 0x8000, [856] = 0x40000000, [858] = 0x80, 
    [859] = 0x4400100, [862] = 0x1014000, [864] = 0x8000, [865] = 0x20000000, [868] = 0x200000, 
    [869] = 0x4000, [870] = 0x100010, [873] = 0x2, [875] = 0x1, [876] = 0x60000, [878] = 0x2, 
    [879] = 0x100000, [880] = 0x40000000, [882] = 0x20000, [883] = 0x20, [884] = 0x20000010, 
    [885] = 0x80000, [887] = 0x800, [889] = 0x20c00, [890] = 0x100, [892] = 0x2, [894] = 0x8800, 
    [895] = 0x2000, [896] = 0x20000, [897] = 0x1000000, [898] = 0x10, [899] = 0x200000, 
    [900] = 0x1000, [901] = 0x80040000, [902] = 0x8000000, [903] = 0x400, [904] = 0x2000000, 
    [905] = 0x400000, [908] = 0x400, [909] = 0x14000000, [911] = 0x1020000, [912] = 0x40000, 
    [914] = 0x20100000, [915] = 0x80, [916] = 0x200001, [917] = 0x4, [918] = 0x400000, 
    [920] = 0x8000000, [921] = 0x102000, [922] = 0x808000, [925] = 0x5, [927] = 0x4000, 
    [928] = 0x50, [929] = 0x100010, [931] = 0x100000, [932] = 0x2, [934] = 0x80, 
    [935] = 0x1000000, [936] = 0x40000000, [938] = 0x10, [939] = 0x8000, [941] = 0x100080, 
    [944] = 0x200080, [945] = 0x80000, [946] = 0x8000000, [951] = 0x200020c0, [952] = 0x10, 
    [953] = 0x800000, [954] = 0x40, [955] = 0x4000080, [956] = 0x801000, [960] = 0x400, 
    [961] = 0x400000, [963] = 0x20, [964] = 0x40040000, [965] = 0x1000, [968] = 0x800, 
    [970] = 0x8000, [971] = 0x40000000, [972] = 0x2100100, [974] = 0x8000000, [975] = 0x1200000, 
    [976] = 0x400000, [977] = 0x4004, [979] = 0x40200000, [980] = 0x810, [981] = 0x4000000, 
    [982] = 0x400000, [983] = 0x2000, [984] = 0x1, [989] = 0x40020, [990] = 0x2000, [991] = 0x80, 
    [992] = 0x800000, [993] = 0x1010800, [994] = 0xc00000, [997] = 0x10000000, [998] = 0x400000, 
    [999] = 0x800001, [1000] = 0x80000, [1001] = 0x200, [1002] = 0x4000, [1003] = 0x100, 
    [1005] = 0x40000008, [1006] = 0x100000, [1008] = 0x4, [1011] = 0x4081000, [1013] = 0x2000000, 
    [1014] = 0x2000010, [1016] = 0x40000000, [1018] = 0x80008000, [1021] = 0x101000, 
    [1022] = 0x8000, 
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
    "bankofamerica.combankofireland.comdanskebank.dksocietegenerale.frkotak.comdkb.deedf.frgv.at"
    "robinhood.cominter.combank.plwesternunion.combancoestado.clkaspersky.comhp.comvenmo.com"
    "exodus.comaliexpress.commicrosoftonline.comcash.applufthansa.comevri.comenel.itcanonical.com"
    "tmall.comitau.com.bryoutube.comsparebank1.noexperian.comcdc.govvodafone.co.uk"
    "cimbclicks.com.myamazon.co.jpamazon.co.ukdpd.detarget.comnasa.govmovistar.eshuntington.com"
    "bitstamp.netmyworkdayjobs.comdaum.netmail.ruebay.co.uklemonde.frbni.co.idnordea.com"
    "equifax.como2.co.ukprimevideo.comjetbrains.comlogmein.comengie.frglassdoor.compostfinance.ch"
    "turbotax.comapple.comibm.comtelia.comduolingo.combmo.comcanva.comwikimedia.orgwikipedia.org"
    "ubuntu.combelastingdienst.nlvtb.rurakuten.co.jpstrato.dewetransfer.comgithub.comoutlook.com"
    "icicibank.comminecraft.netdropbox.comgovt.nzplaystation.comcaixa.gov.brcaixabank.es"
    "zendesk.comrbs.co.ukagenziaentrate.gov.itbritishgas.co.ukweibo.combanquepopulaire.fr"
    "bundesfinanzministerium.dewise.comgandi.netwalletconnect.comoffice365.compekao.com.pl"
    "smbc-card.comwindows.comdhl.deid.meboc.cnpython.orgnorton.comkernel.orgcaf.fring.being.de"
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
    "sf-express.comtutanota.comrakuten-bank.co.jprakuten-card.co.jpnotion.sopodatki.gov.pl"
    "orange.comsncf-connect.comubs.comacm.orgvr.dehangseng.comhellosign.comsparkasse.at"
    "sparkasse.deccb.commercadopago.com.armercadopago.com.brforce.comdpd.co.ukrevolut.comatt.com"
    "163.comwp.pldocusign.comdocusign.netnovobanco.ptfedoraproject.orgmufg.jping.com.au"
    "washingtonpost.comdigid.nladidas.comebay.com.aunordea.finordea.seuol.com.bretherscan.io"
    "ups.comhm.comnubank.com.brdbs.com.sgdisneyplus.comingbank.plmcafee.comxbox.commit.edu"
    "metrobankonline.co.ukneteller.comun.orgirs.govklarna.commoneygram.comalipay.comroblox.com"
    "interac.cainteria.plryanair.comswedbank.eeswedbank.semedicare.govocbc.combahn.delinode.com"
    "crowdstrike.compoczta-polska.plcox.comdashlane.comorange.frriotgames.comredhat.com"
    "synchrony.comchatgpt.comoffice.comoffice.netbpi.com.phscotiabank.combpost.betrainline.com"
    "americanexpress.comtelus.comcic.frhostgator.comhostinger.comduosecurity.comepicgames.com"
    "cnn.combund.decapitalone.comtelekom.detelenor.nokiwibank.co.nzuscis.govaa.comgmx.comgmx.net"
    "leboncoin.franz.com.auchronopost.froptus.com.auposte.itposti.fiweb.deaxisbank.comasos.com"
    "monster.comintuit.comsap.comnavyfederal.orgmetamask.iobarclays.debankofscotland.co.uk"
    "klarna.sesunrise.chusa.govmondialrelay.frikea.comaol.comwebex.commarriott.comfastmail.com"
    "abchina.combancosabadell.comviabcp.comcgd.ptphantom.approyalmail.comakbank.comcsob.czolx.pl"
    "bofa.comt-mobile.combritishairways.combankaustria.attiscali.itzeit.demastercard.us"
    "openssl.orgkuronekoyamato.co.jpfacebook.comfirstdirect.comexpedia.comameli.frnamecheap.com"
    "maybank2u.com.mydebian.orgetrade.comsteamcommunity.comdb.comzalando.decitizensbank.com"
    "aeon.co.jplazada.comato.gov.auswisscom.chbper.itstate.govpypi.orgtrustwallet.combybit.com"
    "postbank.depostnord.dkpostnord.sebitfinex.combawag.atsnapchat.comlenovo.comkb.czlibero.it"
    "crypto.comanthropic.comionos.combooking.comhsbc.combnpparibas.comgmail.comyahoo.com"
    "verizon.commonday.comgoogle.com.augoogle.com.brnaver.comreuters.comtreasury.govbell.ca"
    "halifax.co.ukmax.comelisa.fi1password.comziraatbank.com.trbancobpm.itbangkokbank.comotto.de"
    "handelsbanken.semabanque.bnpparibasafterpay.comcredit-suisse.comusbank.comairbnb.com"
    "shopee.com.brtinkoff.ruibercaja.esnationwide.co.ukunicredit.itvodafone.devodafone.it"
    "gemini.comcommbank.com.auservice-now.comvk.combitwarden.comclaro.com.brtwitch.tvally.com"
    "klikbca.comonelogin.comzkb.chbbc.co.ukabsa.co.zan26.comcooperativebank.co.ukicbc.com.cn"
    "google.comuob.com.sglaposte.frfastly.comnhs.ukoverheid.nlbattle.netgrammarly.commonobank.ua"
    "bol.com.brstripe.comgls-group.comsecureserver.netcorreios.com.brworldbank.organpost.com"
    "ziggo.nlairtable.combaidu.comalibaba.comlabanquepostale.frborger.dkbcr.roaltinn.nobunq.com"
    "freshdesk.comairfrance.comft.comcaisse-epargne.frslack.comsamsung.comsmbc.co.jpprivatbank.ua"
    "natwest.comjd.comtransunion.commercadolibre.com.armercadolibre.com.mxmercadolivre.com.br"
    "creditkarma.comcreditmutuel.frvodafone.comva.govdnb.noskat.dkkey.comeposcard.co.jp"
    "targobank.deebay.deebay.frebay.itotpbank.hutelstra.comterra.com.brcitizensbankonline.com"
    "swissquote.chbdo.com.phcisco.comfigma.comebay.comtelefonica.combinance.comskrill.comuber.com"
    "coinbase.comvero.fimyworkday.comharvard.educitibank.comvivo.com.brtwilio.comtwint.ch"
    "virustotal.comtim.itelster.despotify.comonlinesbi.sbitrezor.iokakao.comrockstargames.com"
    "pinterest.commsn.comfidelity.comapache.orgtdbank.comeasyjet.comagid.gov.itbestbuy.com"
    "mediamarkt.designal.orgtrello.combancochile.clok.rureddit.compingone.comusaa.com"
    "malwarebytes.combecu.orgbankid.comaib.iemizuhobank.co.jpvisa.comgob.argob.esgob.mxxing.com"
    "consorsbank.demercadolibre.com1and1.comstepstone.deamazon.com.auamazon.com.bramazon.com.mx"
    "live.comdpd.comovh.commps.itcomcast.comcomcast.netcomdirect.debb.com.bronet.pluidai.gov.in"
    "nike.compancakeswap.financenexi.itdiscover.comfrancetravail.frtelekom.comboursobank.com"
    "boursorama.comcoursera.orgkubernetes.iogmx.dearamex.comavast.comtangerine.casberbank.ru"
    "docker.comcam.ac.ukoktapreview.commicrosoft.comaffirm.commeta.comhmrc.gov.ukhotmail.com"
    "nintendo.comquora.com";
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
    2033, 2050, 2067, 2084, 2097, 2115, 2124, 2130, 2136, 2141, 2154, 2162, 2170, 2186, 2200, 
    2213, 2219, 2228, 2238, 2252, 2271, 2279, 2292, 2300, 2307, 2320, 2329, 2340, 2351, 2364, 
    2376, 2383, 2397, 2414, 2426, 2438, 2444, 2454, 2462, 2473, 2487, 2499, 2516, 2524, 2531, 
    2541, 2551, 2560, 2570, 2581, 2589, 2603, 2616, 2627, 2635, 2648, 2662, 2674, 2683, 2690, 
    2699, 2711, 2718, 2727, 2740, 2753, 2763, 2781, 2787, 2800, 2809, 2823, 2833, 2844, 2857, 
    2870, 2881, 2888, 2903, 2915, 2927, 2938, 2947, 2968, 2984, 2993, 3011, 3037, 3045, 3054, 
    3071, 3084, 3096, 3109, 3120, 3126, 3131, 3137, 3147, 3157, 3167, 3173, 3179, 3185, 3191, 
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
    5030, 5048, 5066, 5075, 5089, 5099, 5115, 5122, 5129, 5134, 5146, 5159, 5171, 5183, 5190, 
    5208, 5226, 5235, 5244, 5255, 5262, 5269, 5274, 5286, 5298, 5310, 5327, 5334, 5344, 5362, 
    5370, 5380, 5391, 5400, 5409, 5419, 5431, 5438, 5444, 5457, 5467, 5481, 5491, 5501, 5509, 
    5516, 5537, 5549, 5555, 5562, 5572, 5585, 5595, 5605, 5615, 5625, 5636, 5647, 5658, 5670, 
    5678, 5685, 5695, 5710, 5726, 5733, 5745, 5754, 5767, 5777, 5790, 5801, 5811, 5821, 5831, 
    5845, 5853, 5866, 5885, 5894, 5900, 5913, 5926, 5941, 5954, 5961, 5968, 5982, 5992, 6002, 
    6016, 6025, 6031, 6038, 6045, 6057, 6067, 6080, 6092, 6100, 6108, 6114, 6126, 6134, 6145, 
    6155, 6162, 6177, 6188, 6199, 6219, 6228, 6238, 6245, 6260, 6268, 6275, 6284, 6296, 6308, 
    6319, 6336, 6346, 6352, 6363, 6376, 6386, 6393, 6399, 6407, 6419, 6437, 6451, 6461, 6468, 
    6481, 6492, 6512, 6524, 6539, 6550, 6558, 6571, 6587, 6597, 6607, 6625, 6631, 6641, 6657, 
    6667, 6677, 6687, 6698, 6705, 6714, 6722, 6737, 6746, 6757, 6768, 6779, 6791, 6799, 6811, 
    6821, 6826, 6835, 6845, 6858, 6867, 6878, 6886, 6900, 6909, 6918, 6929, 6939, 6952, 6965, 
    6974, 6985, 6997, 7004, 7017, 7024, 7032, 7045, 7062, 7073, 7088, 7095, 7111, 7130, 7142, 
    7159, 7169, 7179, 7192, 7202, 7213, 7229, 7241, 7252, 7263, 7273, 7288, 7303, 7309, 7322, 
    7334, 7343, 7351, 7362, 7374, 7380, 7389, 7399, 7406, 7427, 7438, 7448, 7458, 7468, 7478, 
    7484, 7495, 7505, 7518, 7529, 7539, 7549, 7562, 7578, 7593, 7606, 7616, 7624, 7636, 7645, 
    7656, 7674, 7683, 7689, 7698, 7706, 7719, 7732, 7738, 7755, 7764, 7775, 7785, 7798, 7809, 
    7815, 7829, 7848, 7867, 7886, 7901, 7916, 7928, 7934, 7940, 7947, 7954, 7968, 7980, 7987, 
    7994, 8001, 8011, 8022, 8034, 8056, 8069, 8079, 8088, 8097, 8105, 8119, 8130, 8140, 8148, 
    8160, 8167, 8180, 8191, 8203, 8214, 8224, 8232, 8246, 8252, 8261, 8272, 8285, 8294, 8303, 
    8320, 8333, 8340, 8352, 8362, 8372, 8383, 8394, 8405, 8418, 8428, 8438, 8451, 8456, 8466, 
    8477, 8485, 8501, 8509, 8519, 8525, 8541, 8549, 8555, 8561, 8567, 8575, 8589, 8605, 8614, 
    8626, 8639, 8652, 8665, 8673, 8680, 8687, 8693, 8704, 8715, 8727, 8736, 8743, 8755, 8763, 
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
    [0] = 0x8000, [1] = 0x1800000, [3] = 0x2, [4] = 0x20, [5] = 0x8000, [9] = 0x1000000, 
    [11] = 0x10000000, [12] = 0x900800, [13] = 0x80, [17] = 0x80000, [22] = 0x20000000, 
    [24] = 0x20010001, [25] = 0x10, [27] = 0x8, [28] = 0x40000000, [30] = 0x4000, [34] = 0x100, 
    [36] = 0x40000, [37] = 0x20000000, [39] = 0x1, [40] = 0x4000000, [41] = 0x2000009, 
    [44] = 0x400, [46] = 0x100200, [47] = 0x2000, [48] = 0x10040000, [50] = 0x200100, 
    [51] = 0x10000000, [55] = 0x4, [56] = 0x10000, [57] = 0x40, [58] = 0x40, [61] = 0x20000100, 
    [63] = 0x800000, [66] = 0x40000000, [71] = 0x80000, [72] = 0x400000, [73] = 0x40, 
    [77] = 0x800000, [78] = 0x40000000, [80] = 0x10020, [82] = 0x20, [84] = 0x10000000, 
    [88] = 0x80000, [89] = 0x20000, [90] = 0x1000010, [92] = 0x20, [95] = 0x8002000, 
    [97] = 0x4000, [98] = 0x100000, [99] = 0x20400, [101] = 0x200, [102] = 0x40000000, 
    [103] = 0x80000000, [104] = 0x2000000, [106] = 0x80, [108] = 0x2000, [112] = 0x20, 
    [113] = 0x8004, [116] = 0x4000000, [117] = 0x2000000, [119] = 0x480000, [123] = 0xc1, 
    [126] = 0x100, [127] = 0x800, [128] = 0x8000, [130] = 0x100000, [131] = 0x10000, 
    [132] = 0x1000, [134] = 0x10000000, [137] = 0x1, [138] = 0x10000004, [139] = 0x2000, 
    [140] = 0x8000008, [141] = 0x20002, [142] = 0x2, [143] = 0x40, [144] = 0x210000, 
    [146] = 0x800, [149] = 0x120000, [150] = 0x100, [151] = 0x2000000, [152] = 0x80000008, 
    [153] = 0x10, [154] = 0x40000000, [155] = 0x40000000, [157] = 0x80000, [158] = 0x2001000, 
    [159] = 0x40200000, [165] = 0x80000020, [166] = 0x80, [169] = 0x88000, [170] = 0x8000, 
    [173] = 0x2010, [174] = 0x40000000, [177] = 0x20000040, [180] = 0x40000000, [182] = 0x1000, 
    [183] = 0x20040, [185] = 0x80, [187] = 0x4100000, [188] = 0x80000020, [189] = 0x10000000, 
    [192] = 0x3000, [193] = 0x1000000, [195] = 0x80000, [196] = 0x4000000, [197] = 0x40000000, 
    [199] = 0x10000001, [200] = 0x420020, [201] = 0x2000, [202] = 0x10000, [204] = 0x4000000, 
    [205] = 0x40, [206] = 0x81000200, [207] = 0x10000, [211] = 0x1, [212] = 0x20, [213] = 0x2000, 
    [217] = 0x4, [221] = 0x100, [222] = 0x40800001, [223] = 0x40000, [225] = 0x1000000, 
    [233] = 0x80010, [235] = 0x400, [236] = 0xa0000, [237] = 0x20, [239] = 0x2000000, 
    [240] = 0x98000000, [241] = 0x4, [245] = 0x80080, [247] = 0x80, [250] = 0x420400, 
    [251] = 0x24000000, [252] = 0x200, [254] = 0x20, [255] = 0x40, [256] = 0x2, [258] = 0x8000, 
    [260] = 0x4, [263] = 0x8000000, [267] = 0x10000, [268] = 0x20000000, [269] = 0x11004000, 
    [270] = 0x20000000, [271] = 0x80000, [272] = 0x140, [273] = 0x4000000, [275] = 0x10000000, 
    [276] = 0x4000000, [277] = 0x202000, [278] = 0x400000, [285] = 0x200, [286] = 0x10, 
    [287] = 0x8, [288] = 0x8000, [289] = 0x80400000, [290] = 0x10000, [292] = 0x800080, 
    [293] = 0x60000, [294] = 0x10000000, [298] = 0x2000220, [299] = 0x100, [304] = 0x10, 
    [307] = 0x20, [310] = 0x808000, [311] = 0x200400, [313] = 0x10000000, [315] = 0x10020, 
    [316] = 0x1, [317] = 0x800000, [319] = 0x8000, [321] = 0x100000, [322] = 0x202800, 
    [326] = 0x400000, [328] = 0x100000, [330] = 0x1, [331] = 0x140, [332] = 0x8, [333] = 0xc0000, 
    [335] = 0x100000, [336] = 0x8000000, [337] = 0x40000000, [338] = 0x100, [340] = 0x100, 
    [341] = 0x80000002, [343] = 0x9, [344] = 0x1000, [345] = 0x2000000, [347] = 0x40000000, 
    [353] = 0x400000, [356] = 0x804, [357] = 0x2000001, [358] = 0x200, [359] = 0x40000, 
    [360] = 0x400, [361] = 0x4000000, [362] = 0x20, [363] = 0x4000000, [364] = 0x4000040, 
    [368] = 0x10000000, [369] = 0x80000000, [371] = 0x10000, [372] = 0x10000, [373] = 0x240, 
    [374] = 0x20, [375] = 0x20001, [376] = 0x80000, [377] = 0x100000, [384] = 0x40, [385] = 0x1, 
    [387] = 0x4000080, [388] = 0x40000000, [389] = 0x41, [391] = 0x80000000, [399] = 0x20000, 
    [403] = 0x20000200, [406] = 0x10, [408] = 0x400010, [409] = 0x80100, [410] = 0x8000, 
    [412] = 0x40800008, [415] = 0x20000, [419] = 0x20000, [422] = 0x2000000, [423] = 0x1008, 
    [424] = 0x1, [428] = 0x80802020, [429] = 0x21100000, [430] = 0x4000000, [432] = 0x4000000, 
    [436] = 0x80408, [438] = 0x110, [443] = 0x1, [446] = 0x4, [448] = 0x8, [449] = 0x1000200, 
    [451] = 0x8000000, [453] = 0x2000, [458] = 0x200, [461] = 0x80, [462] = 0x80220, 
    [465] = 0x22000, [466] = 0x110000, [467] = 0x20000420, [470] = 0x200001, [471] = 0x2010000, 
    [472] = 0x10000000, [473] = 0x8, [475] = 0x200000, [476] = 0x2002, [478] = 0x2000000, 
    [480] = 0x80400000, [485] = 0x40000, [487] = 0x80, [490] = 0x4000004, [493] = 0x100, 
    [494] = 0x10000000, [496] = 0x8000, [497] = 0x10000000, [501] = 0x200, [503] = 0x8000, 
    [504] = 0x20, [505] = 0x20100200, [508] = 0x1000000, [511] = 0x200000, [512] = 0x810000, 
    [513] = 0x20000, [514] = 0x400, [516] = 0x8000, [519] = 0x3000000, [522] = 0x40000000, 
    [523] = 0x800, [524] = 0x10000, [525] = 0x44000000, [527] = 0x110, [529] = 0x41000000, 
    [534] = 0x80008, [536] = 0x200400, [537] = 0x2000, [540] = 0x8000, [541] = 0x10000000, 
    [543] = 0x400, [546] = 0x80, [548] = 0x10000001, [549] = 0x10, [550] = 0x8000, [551] = 0x400, 
    [552] = 0x40000000, [554] = 0x8, [556] = 0x80200000, [557] = 0x40, [558] = 0x40000000, 
    [561] = 0x80088000, [562] = 0x4, [563] = 0x4000000, [567] = 0xa0, [568] = 0x400000, 
    [569] = 0x80, [570] = 0x100000, [573] = 0x2000000, [577] = 0x1000000, [578] = 0x2000100, 
    [580] = 0x10000000, [584] = 0x20000000, [585] = 0x2000004, [586] = 0x1000000, [588] = 0x40, 
    [589] = 0x4040, [590] = 0x40, [591] = 0x20400, [592] = 0x1000000, [593] = 0x1, [595] = 0x2, 
    [597] = 0x100001, [599] = 0x40, [600] = 0x80000, [602] = 0x10, [605] = 0x400000, 
    [607] = 0x800020, [608] = 0x8082000, [611] = 0x4, [612] = 0x1000, [613] = 0x1, 
    [614] = 0x80000000, [617] = 0x400, [622] = 0x40000000, [623] = 0x400, [624] = 0x40, 
    [625] = 0x6000000, [626] = 0x800, [629] = 0x1000000, [631] = 0x4000000, [632] = 0x90000000, 
    [633] = 0x110, [635] = 0x8004, [637] = 0x20028001, [644] = 0x800000, [645] = 0xa0, 
    [649] = 0x4000, [651] = 0x2000, [653] = 0x80000000, [655] = 0x4000000, [656] = 0x300, 
    [658] = 0x20000000, [660] = 0x10000000, [661] = 0x40000, [662] = 0x200000, [667] = 0x100, 
    [671] = 0x100, [672] = 0x10, [674] = 0x10000000, [675] = 0x100040, [676] = 0x1, 
    [679] = 0x100, [681] = 0x10010000, [683] = 0x800000, [684] = 0x402000, [686] = 0x4100000, 
    [689] = 0x80000000, [690] = 0x1000a0, [693] = 0x1800000, [696] = 0x80000000, 
    [697] = 0x8000000, [698] = 0x10, [699] = 0x400, [700] = 0x200000, [701] = 0x80000, 
    [702] = 0x800, [704] = 0x800, [705] = 0x7000000, [706] = 0x80, [710] = 0x10000040, 
    [712] = 0x40, [713] = 0x80000, [714] = 0xc0, [715] = 0x8, [716] = 0x10000, [718] = 0x40000, 
    [719] = 0x4000, [721] = 0x4000, [722] = 0x8, [723] = 0x40000, [724] = 0x8, [725] = 0x80000, 
    [726] = 0x80, [728] = 0x40000020, [732] = 0x10000, [734] = 0x108000, [735] = 0x800, 
    [737] = 0x4000, [738] = 0x200000, [741] = 0x1020080, [747] = 0x1000, [751] = 0x40000, 
    [756] = 0x10000080, [758] = 0x100, [759] = 0x104008, [760] = 0x400, [761] = 0x80, 
    [764] = 0x10010000, [766] = 0x22, [769] = 0x2000, [770] = 0x8000, [773] = 0x10000008, 
    [774] = 0x200, [776] = 0x200, [777] = 0x40, [778] = 0x80000202, [779] = 0xc000000, 
    [780] = 0x42000000, [781] = 0x1080000, [783] = 0x400, [786] = 0x4010, [788] = 0x100000, 
    [791] = 0x200000, [793] = 0x100, [794] = 0x2000000, [799] = 0x400200, [800] = 0x200000, 
    [801] = 0x80000, [805] = 0x40000, [806] = 0x2000000, [809] = 0x40000000, [810] = 0x4000000, 
    [813] = 0x10000000, [815] = 0x8, [819] = 0x1, [820] = 0x202000, [824] = 0x40080000, 
    [825] = 0x10000000, [826] = 0x1000000, [830] = 0x400, [831] = 0x1, [832] = 0x40000000, 
    [833] = 0x2000, [835] = 0x2000, [837] = 0x40, [840] = 0x8008, [844] = 0x400000, [848] = 0x80, 
    [849] = 0x4, [852] = 0x4000, [855] = 0x9000000, [858] = 0x200, [859] = 0x2010400, 
    [862] = 0x10000000, [863] = 0x20000010, [866] = 0x240, [869] = 0x1000000, [870] = 0x400000, 
    [871] = 0x10000, [872] = 0x200000, [873] = 0x10000, [876] = 0x10, [877] = 0x8000, 
    [878] = 0x80000000, [882] = 0x100, [883] = 0x5000001, [885] = 0x4, [887] = 0x200, 
    [888] = 0x8000, [890] = 0x80, [891] = 0x100000, [892] = 0x10000, [895] = 0x1, 
    [896] = 0x100040, [897] = 0x80040200, [900] = 0x80080, [901] = 0x52040080, [902] = 0x8000000, 
    [903] = 0xb000, [904] = 0x100, [906] = 0x10010, [907] = 0x8000100, [910] = 0x100, 
    [912] = 0x400, [914] = 0x4, [915] = 0x10000, [916] = 0x20000000, [918] = 0x10, [919] = 0x100, 
    [920] = 0x4000000, [922] = 0x2000, [931] = 0x104, [933] = 0x8280000, [934] = 0x100, 
    [936] = 0x100, [937] = 0x100040, [938] = 0x40000000, [939] = 0x100000, [940] = 0x100002, 
    [941] = 0x8, [943] = 0x200000, [944] = 0x40000000, [945] = 0x800, [948] = 0x100000, 
    [949] = 0x800200, [950] = 0x402, [951] = 0x6, [952] = 0x100040, [953] = 0x80000, 
    [954] = 0x10000000, [955] = 0x2000, [956] = 0x40000000, [960] = 0x800, [961] = 0x80000, 
    [962] = 0x2000000, [965] = 0x80000, [966] = 0x1000000, [967] = 0x80020000, 
    [975] = 0x10000800, [977] = 0x2000004, [979] = 0xc0010, [980] = 0x40, [981] = 0x8000, 
    [982] = 0x10400, [984] = 0x400000, [985] = 0x100000, [986] = 0x20000000, [989] = 0x800000, 
    [991] = 0x100, [992] = 0x1000, [993] = 0x4000, [995] = 0x40100, [996] = 0x4000, [998] = 0x80, 
    [1000] = 0x2000, [1001] = 0x8, [1004] = 0x400000, [1005] = 0x840, [1007] = 0x420000, 
    [1008] = 0x8000, [1011] = 0x20000000, [1012] = 0x8, [1015] = 0x400, [1016] = 0x200000, 
    [1018] = 0x1, [1019] = 0x40, [1023] = 0x1000, 
};
static const struct {
    const char *text;
    size_t length;
} user_content[] = {
    {"app.box.com", 11}, {"colab.research.google.com", 25}, {"customervoice.microsoft.com", 27}, 
    {"dl.dropbox.com", 14}, {"docs.google.com", 15}, {"drive.google.com", 16}, 
    {"forms.google.com", 16}, {"forms.office.com", 16}, {"gist.github.com", 15}, 
    {"groups.google.com", 17}, {"l.facebook.com", 14}, {"lm.facebook.com", 15}, 
    {"onedrive.live.com", 17}, {"raw.github.com", 14}, {"script.google.com", 17}, 
    {"sites.google.com", 16}, {"storage.cloud.google.com", 24}, {"sway.office.com", 15}, 
    {"translate.google.com", 20}, 
};
