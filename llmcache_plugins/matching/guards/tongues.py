"""Small words and letters that show which language a text is in. Data only."""

from __future__ import annotations

from llmcache_plugins.matching.guards.base import words_of

__all__ = ["LETTERS", "SCRIPTS", "WORDS"]

_BY_LANGUAGE = {
    "en": """a into per each no so me us all more most very best good new use
        the of to and is are was were what how why when where which who does do did can could should would will
        with for from on by it its this that these those my your our their i you he she we they not be been have has
        had if then than or as at an about there any some in show list give find me explain tell""",
    "de": """der die das den dem des ein eine einen einem einer und ist sind war wird werden nicht mit für von zu im
        zum zur wie was warum wo wer wann welche welcher welches welchen ich sie wir ihr auf aus bei nach über unter
        kann können soll muss mein meine meinen mir mich gibt es hat haben in bitte oder auch wenn dass zeige""",
    "fr": """le la les un une des du de et est sont dans pour pas ne avec sur quel quelle quels quelles comment
        pourquoi où qui que ce cette ces il elle nous vous je mon ma mes son sa ses par au aux plus peut puis être a
        à en combien quand donne tous""",
    "es": """el la los las un una unos unas del de al y es son está están en para por con sin que qué cómo cuál cuáles
        dónde cuándo quién quiénes se lo su sus mi mis yo no más puedo cuánto cuántos hay fue muy como todos dame""",
    "it": """il lo la gli le un una di del della dei delle degli da in con su per tra non è sono che chi come cosa
        dove quando quale quali perché quanto quanti si mi mio mia al alla nel nella e ha ho posso tutti più""",
    "pt": """o a os as um uma uns umas de do da dos das em no na nos nas para por com sem que quem como qual quais
        onde quando quantos quanto é são está não se meu minha eu posso foi mais e ao à pela pelo todos me""",
    "nl": """de het een en van in is zijn was niet met voor op te aan hoe wat waarom waar wie wanneer welke welk ik
        je jij wij we zij mijn kan kunnen moet door bij naar uit over er heeft hebben wordt geef alle""",
    "sv": """och att det en ett är var på som med för av till inte den hur vad varför vem när vilken vilka jag du vi
        kan ska min mitt från eller finns har om i""",
    "da": """og at det en et er var på som med for af til ikke den hvordan hvad hvorfor hvem hvornår hvilken hvilke
        jeg du vi kan skal min mit fra eller har om i hvor""",
    "pl": """i w na z do się nie jest są był jak co dlaczego gdzie kto kiedy który która które ile czy to mój moja
        dla od po przez ma może jakie jaki jaka""",
    "cs": """a v na z do se není je jsou byl jak co proč kde kdo kdy který která které kolik že to můj pro od po má
        může jaké jaký jaká""",
    "ro": """și în la de cu pe din este sunt era nu ce cum cine unde când care cât câte un o lui pentru prin al a mai
        toate dă-mi cel""",
    "tr": """ve bir bu ne nasıl neden nerede kim kaç için ile mi mı mu mü olan hangi var değil nedir kimdir çok en ben
        olarak""",
    "vi": """là của và có không được gì nào như thế cho với trong một những các bao nhiêu ở tại sao ai khi""",
    "id": """yang dan di ke dari ini itu apa bagaimana mengapa siapa kapan dimana berapa adalah untuk dengan tidak
        saya bisa pada""",
    "hu": """a az és egy nem hogy mi miért hol ki mikor melyik mennyi hogyan van volt ez is meg""",
    "fi": """ja on ei mikä miten miksi missä kuka milloin kuinka olen ovat oli se että voi minun""",
}
WORDS: dict[str, frozenset[str]] = {}
"""Word -> the languages it is a small word of."""
for _language, _words in _BY_LANGUAGE.items():
    for _word in words_of(_words):
        WORDS[_word] = WORDS.get(_word, frozenset()) | {_language}

LETTERS = {
    "ß": "de", "ñ": "es", "¿": "es", "¡": "es", "ã": "pt", "õ": "pt", "œ": "fr", "ł": "pl", "ń": "pl", "ś": "pl",
    "ż": "pl", "ę": "pl", "ą": "pl", "ř": "cs", "ě": "cs", "ů": "cs", "ț": "ro", "ș": "ro", "ţ": "ro", "ğ": "tr",
    "ı": "tr", "ő": "hu", "ű": "hu", "đ": "vi", "ơ": "vi", "ư": "vi", "ø": "da", "å": "sv",
}  # fmt: skip
"""Letters that one language alone, or hardly another, has."""

SCRIPTS = (
    ("kana", "\u3040", "\u30ff"), ("han", "\u2e80", "\u303f"), ("han", "\u3400", "\u9fff"), ("han", "\uf900", "\ufaff"),
    ("hangul", "\u1100", "\u11ff"), ("hangul", "\uac00", "\ud7ff"), ("greek", "\u0370", "\u03ff"),
    ("cyrillic", "\u0400", "\u052f"), ("armenian", "\u0530", "\u058f"), ("hebrew", "\u0590", "\u05ff"),
    ("arabic", "\u0600", "\u077f"), ("devanagari", "\u0900", "\u097f"), ("bengali", "\u0980", "\u09ff"),
    ("gurmukhi", "\u0a00", "\u0a7f"), ("gujarati", "\u0a80", "\u0aff"), ("tamil", "\u0b80", "\u0bff"),
    ("telugu", "\u0c00", "\u0c7f"), ("kannada", "\u0c80", "\u0cff"), ("malayalam", "\u0d00", "\u0d7f"),
    ("thai", "\u0e00", "\u0e7f"), ("georgian", "\u10a0", "\u10ff"), ("ethiopic", "\u1200", "\u137f"),
)  # fmt: skip
"""Name, first and last character (Unicode blocks)."""
