"""The language of a text by its script and its commonest words: enough to slice and to mark by."""

import re

_SCRIPTS = (
    ("ru", re.compile("[Ѐ-ӿ]")),
    ("el", re.compile("[Ͱ-Ͽ]")),
    ("ar", re.compile("[؀-ۿ]")),
    ("he", re.compile("[֐-׿]")),
    ("ja", re.compile("[぀-ヿ]")),
    ("ko", re.compile("[가-힣]")),
    ("zh", re.compile("[一-鿿]")),
    ("th", re.compile("[฀-๿]")),
    ("hi", re.compile("[ऀ-ॿ]")),
)
_COMMON = {
    "en": "the and you your to of is this for that have with are we our be will not from",
    "de": "der die das und ist nicht sie ihr ihre mit für auf ein eine wir haben von werden zu",
    "fr": "le la les des est vous votre pour nous dans une que sur avec pas sont au du",
    "es": "el los las usted su para por una que con del está nuestro es como más este",
    "pt": "o os você seu sua para por uma que com não do da em está mais este nosso",
    "it": "il gli che per una con non del della sono tuo suo questo nostro di è alla",
    "nl": "het een van uw voor met niet dat is wij zijn op de en te aan om",
    "pl": "nie się jest że na do w z dla od twoje twój konto przez są oraz",
    "sv": "och att det som är för på med din ditt av inte har till vi",
    "tr": "bir ve için bu ile değil olarak sizin daha çok kadar",
}
_WORDS_OF = {name: frozenset(words.split()) for name, words in _COMMON.items()}
_LOOKED_AT = 4000
_WORD = re.compile(r"[^\W\d_]+")


def language_of(text: str) -> str:
    """Return an ISO 639-1 code, or ``xx`` where the text does not tell."""
    text = text[:_LOOKED_AT].lower()
    letters = sum(c.isalpha() for c in text)
    if letters < 20:
        return "xx"
    if not text.isascii():
        for name, script in _SCRIPTS:
            if len(script.findall(text)) > letters * 0.3:
                return name
    words = _WORD.findall(text)
    counts = {name: sum(word in known for word in words) for name, known in _WORDS_OF.items()}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] >= max(2, len(words) // 50) else "xx"
