"""Detects text in an event that addresses the model.

The detector knows common techniques in many languages and disguises; it proves nothing. Findings
are flagged in the label store. For what it misses, the injection test measures the teacher itself.
"""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import islice
from urllib.parse import unquote

from buckler.teachers.patterns import PatternSet

FLAG = "prompt-injection"
MAX_CHARACTERS = 20_000
_MAX_ENCODED = 16

_GAP = r"[^\n]{0,60}?"
_GOOD_LABEL = (
    r"(?:benign|safe|legitimate|harmless|clean|not (?:malicious|phishing|spam)|ham\b|trusted|"
    r"gutartig|harmlos|b[ée]nigne?|inoffensif|benigno|inofensivo|leg[íi]timo|goedaardig)"
)
# Techniques, each a bounded pattern on a simplified view of the text.
_TECHNIQUES = {
    "override": (
        r"\b(?:ignor(?:e|ing)|disregard|forget|override|bypass|do not follow|stop following)\b"
        + _GAP
        + r"\b(?:instruction|prompt|rule|guideline|context|polic(?:y|ies)|directive|(?:the|all) "
        r"(?:above|previous|prior))",
        r"\b(?:ignorier\w*|vergiss|vergessen sie|missachte\w*)\b"
        + _GAP
        + r"(?:anweisung|regel|vorherig|bisherig)",
        r"\b(?:ignore[rz]?|oublie[rz]?|ne tenez pas compte)\b"
        + _GAP
        + r"(?:instruction|consigne|r[èe]gle|pr[ée]c[ée]dent)",
        r"\b(?:ignor[ae]|olvid[ae]|omit[ae]|esque[çc]a|desconsidere|dimentica)\b"
        + _GAP
        + r"(?:instruc|istruzion|instru[çc]|anterior|precedent|regla|regra|regol)",
        r"\b(?:negeer|vergeet)\b" + _GAP + r"(?:instructie|regel|vorige)",
        r"\b(?:zignoruj|zapomnij)\b" + _GAP + r"(?:instrukc|polece|poprzedni)",
        r"\b(?:forget|erase|drop) (?:everything|all)\b",
        r"(?:игнорируй|проигнорируй|забудь|забудьте|ігноруй)"
        + _GAP
        + r"(?:инструкц|указан|правил|предыдущ|інструкц)",
        r"(?:忽略|无视|忽視|忘记|忘記)" + _GAP + r"(?:指令|指示|规则|規則|提示|之前|以上)",
        r"(?:指示|命令|ルール|プロンプト|指令)" + _GAP + r"(?:無視|忘れ)",
        r"(?:지시|명령|규칙|이전)" + _GAP + r"(?:무시|잊)",
        r"(?:تجاهل|انس)" + _GAP + r"(?:التعليمات|تعليمات|الأوامر|السابقة|القواعد)",
        r"(?:निर्देश|नियम|पिछल)" + _GAP + r"(?:अनदेखा|नज़रअंदाज़|भूल|ध्यान न)",
        r"(?:talimat|kural|önceki)" + _GAP + r"(?:yok say|görmezden gel|unut)",
        r"\b(?:abaikan|lupakan)\b" + _GAP + r"(?:instruksi|perintah|aturan)",
        r"(?:bỏ qua|quên)" + _GAP + r"(?:hướng dẫn|chỉ dẫn|lệnh)",
        r"(?:αγνόησε|αγνοήστε|ξέχασε)" + _GAP + r"(?:οδηγί|εντολ|προηγούμεν)",
        r"(?:התעלם|התעלמי|שכח)" + _GAP + r"(?:הוראות|ההוראות|הקודמות)",
    ),
    "verdict": (
        r"\b(?:answer|respond|reply|output|return|print|classify|label|mark|treat|rate|judge|"
        r"report|choose|say|set)\b[^\n]{0,30}?\b(?:as|with|is|:|only|it|to|be|=)\s?\W{0,3}"
        + _GOOD_LABEL
        + r"\b[^\n]{0,12}(?:$|[\"'.,;}!])",
        r"\b(?:answer|say|label) (?:anything|nothing) (?:but|except)\b",
        r"\balways (?:answer|say|reply|respond|output)\b",
        r"[\"']?\b(?:label|verdict|classification|answer|category)\b[\"']?\s?[:=]\s?[\"']?"
        + _GOOD_LABEL,
        r"\b(?:correct|right|true|final|expected|richtige|bonne) (?:answer|label|verdict|class)\b"
        + _GAP
        + _GOOD_LABEL,
        r"\bassistant ?: ?\W?" + _GOOD_LABEL,
        r"\b(?:antworte|antworten sie|r[ée]ponds|r[ée]pondez|responde|risponda|rispondi)\b"
        + _GAP
        + _GOOD_LABEL,
    ),
    "role": (
        r"\b(?:you are|you're|act as|pretend to be|from now on,? you)\b[^\n]{0,20}?\b(?:now|an? "
        r"(?:ai|assistant|model|helpful|unrestricted|different)|dan|chatgpt|in developer mode)\b",
        r"\b(?:system|developer) (?:prompt|message|override|instruction|note|mode)\b",
        r"\b(?:note|message|attention|instruction|reminder|memo) (?:to|for) (?:the |any |all )?"
        r"(?:ai|llm|language model|model|classifier|assistant|reviewer|analyst|grader)",
        r"\bend of (?:the )?(?:event|data|input|untrusted|document|user)\b"
        + _GAP
        + r"\b(?:instruction|system|task|new)",
        r"\b(?:new|updated|revised|real|actual) (?:instruction|task|rule|polic)",
    ),
    "markup": (
        r"<\|?\s?/?(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id|"
        r"end_of_turn|start_of_turn)\s?\|?>",
        r"\[/?inst\]|<</?sys>>|</s>\s?<s>|###\s?(?:instruction|system|response)",
        r"[\"']role[\"']\s?:\s?[\"'](?:system|assistant|developer)",
        r"</(?:untrusted|instructions?|event)>",
        r"<<\s?(?:end|event) ?[0-9a-f]*\s?>>",
        r"(?:^|\n)\s?(?:assistant|system)\s?:\s",
    ),
}
_COMPILED = [
    (technique, re.compile(pattern, re.IGNORECASE | re.MULTILINE))
    for technique, patterns in _TECHNIQUES.items()
    for pattern in patterns
]
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,4000}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){12,2000}")
_APART = re.compile(r"\b\w[.\-_*]\w[.\-_*]\w[.\-_*]\w\b")
_APART_MARK = re.compile(r"(?<=\b\w)[.\-_*](?=\w\b)")
_TERMINAL = re.compile(r"\x1b\[[0-9;]{0,16}[A-Za-z]")
_LEET = str.maketrans("01345789@$!|", "oieastbgasil")
_CONFUSABLE = str.maketrans(
    "асеорхуіјѕԁһѵΑΒΕΖΗΙΚΜΝΟΡΤΥΧανοτικρАВЕКМНОРСТХ",
    "aceopxyijsdhvABEZHIKMNOPTYXavotikpABEKMHOPCTX",
)


def detect_injection(text: str) -> str | None:
    """Return the technique and the passage by which a text addresses the model; None if it does
    not.

    Parameters
    ----------
    text
        Event, searched as it is and without common disguises (percent and base64 encoding,
        hexadecimal, full width, look-alike letters, leet, spacing, reversal, ROT13).
    """
    automaton = _automaton()
    for name, view in _views(text[:MAX_CHARACTERS]):
        for number in automaton.match(view):
            technique, pattern = _COMPILED[number]
            if match := pattern.search(view):
                how = f" ({name})" if name else ""
                return f"{technique}{how}: {match[0][:120]}"
    return None


@cache
def _automaton() -> PatternSet:
    patterns = ["(?m)" + pattern.pattern for _, pattern in _COMPILED]
    return PatternSet(patterns, "detecting prompt injection", "llm", case_sensitive=False)


def _views(text: str) -> Iterator[tuple[str, str]]:
    plain = _simplify(text)
    yield "", plain
    decoded, raw = plain, text
    if "%" in text:
        raw = unquote(unquote(text))
        decoded = _simplify(raw)
        yield "percent-encoded", decoded
    if not raw.isascii():
        tags = "".join(chr(ord(c) - 0xE0000) for c in raw if "\U000e0020" <= c <= "\U000e007e")
        yield "tag characters", tags
        yield "look-alike letters", decoded.translate(_CONFUSABLE)
    words = re.sub(r"[+_\-./=,*~^`#]+", " ", decoded)
    if words != plain:
        yield "spaced", words
    if _APART.search(plain):
        yield "letters apart", _APART_MARK.sub("", decoded)
    if any(c in "013457@$" for c in decoded):
        yield "leet", words.translate(_LEET)
    yield "reversed", decoded[::-1]
    yield "rot13", codecs.encode(decoded, "rot13")
    for match in islice(_BASE64.finditer(unquote(text)), _MAX_ENCODED):
        yield from _decode("base64", match[0])
    for match in islice(_HEX.finditer(text), _MAX_ENCODED):
        yield from _decode("hexadecimal", match[0])


def _decode(kind: str, run: str) -> Iterator[tuple[str, str]]:
    try:
        if kind == "hexadecimal":
            raw = bytes.fromhex(run)
        else:
            body = run.rstrip("=").replace("+", "-").replace("/", "_")
            raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except (ValueError, binascii.Error):
        return
    for encoding in ("utf-8", "utf-16-le"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if text.isprintable() or "\n" in text:
            yield kind, _simplify(text)


def _simplify(text: str) -> str:
    text = _TERMINAL.sub("", text)
    if text.isascii():
        return re.sub(r"[ \t\r\f\v]+", " ", text)
    visible = "".join(
        c
        for c in unicodedata.normalize("NFKC", text)
        if unicodedata.category(c) not in ("Cf", "Mn") or "\u0900" <= c <= "\u097f"
    )
    return re.sub(r"[ \t\r\f\v]+", " ", visible)
