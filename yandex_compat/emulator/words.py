"""Words as the responder and the vectors compare them: lower case, stemmed, no stop words."""

import re

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-zа-яё0-9])(?=[A-ZА-ЯЁ])")
_ENDING = re.compile(
    r"(?:ingly|ings?|ies|ied|edly|ed|ers?|ors?|es|s|e|y"
    r"|иями|ями|ами|иях|ях|ах|его|ого|ему|ому|ыми|ими|ешь|ете|ить|ать|еть|ться|тся"
    r"|ий|ый|ой|ей|ая|яя|ое|ее|ые|ие|ую|юю|ия|ию|ии|ом|ем|ам|ям|ов|ев|ет|ит|ут|ют|ат|ят|ть"
    r"|[аяоеиыуюьй])$"
)
_STEM_LENGTH = 6

_STOP = """
    a an the this that these those there here i you he she it we they me him her us them my your
    his its our their is are was were be been being am do does did done have has had will would can
    could shall should may might must not no and or but if then than so as at by for from in into of
    on onto to up with about over under between after before during out off only just also too very
    what which who whom whose when where why how all any each both some such own same other
    please use using used tool tools function functions value values call given return returns tell
    give let get s t re ve ll m d hello hi hey json
    и в во на с со к ко у о об от до из за по под над при для не ни но а или что чтобы как так это
    этот эта эти тот та те то я ты он она оно мы вы они мне меня тебя вас нас их его её ее им ему ей
    мой моя твой твоя ваш ваша наш наша свой быть есть был была было были будет ли же бы уже ещё еще
    где когда куда почему зачем кто какой какая какое какие какого каком какую сколько чем чего
    пожалуйста скажи расскажи дай мне используй инструмент функция функцию значение привет
"""
STOP_WORDS = frozenset(_STOP.split())


def words(text: str) -> list[str]:
    """Return the words of a text in lower case; snake_case and camelCase come apart."""
    return [word.lower() for word in _WORD.findall(_CAMEL.sub(" ", text))]


def stem(word: str) -> str:
    """Return a crude stem: one common ending off, six letters at most."""
    ending = _ENDING.search(word)
    if ending is not None and ending.start() >= 3:
        word = word[: ending.start()]
    return word[:_STEM_LENGTH]


def content_words(text: str) -> list[str]:
    """Return the words that say something."""
    return [word for word in words(text) if word not in STOP_WORDS]


def stems(text: str) -> set[str]:
    """Return the distinct stems of the words that say something."""
    return set(map(stem, content_words(text)))
