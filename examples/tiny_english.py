"""Short stories in a small English, made by a grammar, with the part of speech of every word.

The text that the tiny GPT-2 of this project is trained on. The grammar, its words and so every
story are this project's own. It is small, but it asks a reader for what a language asks: articles
and verbs agree, `he` and `she` stand for somebody named before, verbs choose what they are done
with, and a dozen words (bank, bark, light, watch, saw, rose, spring, ring, fly, left, match, plant)
mean one thing or another by what stands around them.

    python examples/tiny_english.py

prints three stories.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

Word = tuple[str, str]

WOMEN = ["Anna", "Clara", "Emma", "Julia", "Lucy", "Maria", "Nora", "Ruth", "Sarah", "Vera"]
MEN = ["Adam", "Ben", "David", "Felix", "Jack", "Leo", "Mark", "Paul", "Simon", "Tom"]
FEMALE = ["woman", "girl", "mother", "sister", "queen", "teacher", "nurse", "aunt"]
MALE = ["man", "boy", "father", "brother", "king", "farmer", "sailor", "uncle"]
ANIMALS = [
    "dog",
    "cat",
    "horse",
    "cow",
    "bird",
    "sheep",
    "goat",
    "fox",
    "rabbit",
    "mouse",
    "duck",
    "hen",
]
FOODS = [
    "bread",
    "cheese",
    "soup",
    "cake",
    "rice",
    "fish",
    "meat",
    "milk",
    "water",
    "tea",
    "honey",
    "fruit",
]
THINGS = [
    "book",
    "letter",
    "lamp",
    "chair",
    "table",
    "bag",
    "box",
    "cup",
    "knife",
    "coat",
    "hat",
    "key",
    "map",
    "drum",
    "coin",
    "picture",
    "basket",
    "rope",
    "mirror",
    "bell",
    "clock",
    "blanket",
    "hammer",
    "bottle",
]
PLACES = [
    "house",
    "garden",
    "kitchen",
    "school",
    "market",
    "church",
    "forest",
    "field",
    "village",
    "town",
    "castle",
    "farm",
    "bridge",
    "road",
    "beach",
    "mountain",
    "river",
    "lake",
    "harbour",
    "station",
]
TIMES = ["morning", "evening", "night", "winter", "summer", "autumn", "week", "day"]
QUALITIES = [
    "old",
    "young",
    "tall",
    "small",
    "happy",
    "sad",
    "tired",
    "brave",
    "quiet",
    "kind",
    "poor",
    "rich",
    "clever",
    "lazy",
]
LOOKS = [
    "red",
    "green",
    "blue",
    "white",
    "black",
    "big",
    "little",
    "new",
    "broken",
    "heavy",
    "clean",
    "beautiful",
    "strange",
    "cheap",
]
WEATHERS = ["cold", "warm", "dark", "bright", "wet", "dry", "cloudy", "windy"]
MANNERS = [
    "slowly",
    "quickly",
    "quietly",
    "happily",
    "sadly",
    "carefully",
    "suddenly",
    "often",
    "never",
    "always",
]
GOING = ["walked", "ran", "went", "came", "travelled", "hurried", "returned"]
HAVING = [
    "found",
    "bought",
    "carried",
    "lost",
    "sold",
    "hid",
    "took",
    "cleaned",
    "wanted",
    "painted",
]
EATING = ["ate", "cooked", "tasted", "liked", "shared"]
KNOWING = ["knew", "said", "thought", "believed", "hoped", "remembered"]
MEETING = ["met", "helped", "followed", "visited", "called", "loved", "thanked"]
RESTING = ["slept", "waited", "sat", "stood", "rested", "sang", "laughed", "cried"]
PLACED = ["in", "near", "behind", "beside"]

DET, NOUN, VERB, ADJ = "determiner", "noun", "verb", "adjective"
ADV, PRON, PREP, CONJ = "adverb", "pronoun", "preposition", "conjunction"
NAME, MARK = "name", "mark"
TAGS = (DET, NOUN, VERB, ADJ, ADV, PRON, PREP, CONJ, NAME, MARK)


class Story:
    """One story: whom it is about, and the sentences that follow from that."""

    def __init__(self, chance: random.Random) -> None:
        """Choose the people, their animal and the place."""
        self._chance = chance
        self._female = chance.random() < 0.5
        self._name = chance.choice(WOMEN if self._female else MEN)
        self._kind = chance.choice(FEMALE if self._female else MALE)
        self._other = chance.choice(MEN if self._female else WOMEN)
        self._animal = chance.choice(ANIMALS)
        self._place = chance.choice(PLACES)

    def sentences(self) -> Iterator[list[Word]]:
        """Yield the sentences; the first says who it is about."""
        yield self._opening()
        kinds: list[Callable[[], list[Word]]] = [
            self._goes, self._has, self._eats, self._rests, self._thinks, self._meets,
            self._weather, self._animal_does, self._is, self._gives, self._joined,
        ]  # fmt: skip
        for _ in range(self._chance.randint(4, 8)):
            double = self._chance.random() < 0.4
            yield self._chance.choice(DOUBLE)(self) if double else self._chance.choice(kinds)()

    def who(self) -> list[Word]:
        """Return the subject: a pronoun, the name, or what the person is."""
        form = self._chance.random()
        if form < 0.5:
            return [("she" if self._female else "he", PRON)]
        return [(self._name, NAME)] if form < 0.8 else [("the", DET), (self._kind, NOUN)]

    def own(self) -> Word:
        """Return the possessive of the person."""
        return ("her" if self._female else "his", DET)

    def pick(self, words: list[str], tag: str) -> Word:
        """Return one of the words."""
        return (self._chance.choice(words), tag)

    def a(self, noun: str, adjectives: list[str]) -> list[Word]:
        """Return a noun with an article that agrees, and an adjective or none."""
        middle = [self.pick(adjectives, ADJ)] if self._chance.random() < 0.5 else []
        first = (middle or [(noun, NOUN)])[0][0]
        article = self._chance.choice(["the", "an" if first[0] in "aeiou" else "a"])
        return [(article, DET), *middle, (noun, NOUN)]

    def thing(self) -> list[Word]:
        """Return a thing."""
        return self.a(self._chance.choice(THINGS), LOOKS)

    def at_place(self) -> list[Word]:
        """Return where it is."""
        place = self._place if self._chance.random() < 0.5 else self._chance.choice(PLACES)
        return [self.pick(PLACED, PREP), ("the", DET), (place, NOUN)]

    def when(self) -> list[Word]:
        """Return when it is."""
        if self._chance.random() < 0.5:
            return [("in", PREP), ("the", DET), self.pick(TIMES[:6], NOUN)]
        return [("one", DET), self.pick(TIMES, NOUN)]

    def _opening(self) -> list[Word]:
        quality, animal_quality = self.pick(QUALITIES, ADJ), self.pick(LOOKS, ADJ)
        article = "an" if quality[0][0] in "aeiou" else "a"
        return [
            (self._name, NAME), ("was", VERB), (article, DET), quality, (self._kind, NOUN),
            ("who", PRON), ("lived", VERB), ("near", PREP), ("the", DET), (self._place, NOUN),
            ("with", PREP), ("a", DET), animal_quality, (self._animal, NOUN),
        ]  # fmt: skip

    def _goes(self) -> list[Word]:
        manner = [self.pick(MANNERS, ADV)] if self._chance.random() < 0.4 else []
        goal = [("to", PREP), ("the", DET), self.pick(PLACES, NOUN)]
        if self._chance.random() < 0.4:
            time = self.when()
            return [*time, (",", MARK), *self.who(), self.pick(GOING, VERB), *manner, *goal]
        return [*self.who(), self.pick(GOING, VERB), *manner, *goal]

    def _has(self) -> list[Word]:
        where = self.at_place() if self._chance.random() < 0.6 else []
        return [*self.who(), self.pick(HAVING, VERB), *self.thing(), *where]

    def _eats(self) -> list[Word]:
        with_whom = [("with", PREP), (self._other, NAME)] if self._chance.random() < 0.4 else []
        return [
            *self.who(), self.pick(EATING, VERB), ("the", DET), self.pick(FOODS, NOUN), *with_whom,
        ]  # fmt: skip

    def _rests(self) -> list[Word]:
        return [*self.who(), self.pick(RESTING, VERB), self.pick(MANNERS, ADV), *self.at_place()]

    def _thinks(self) -> list[Word]:
        return [
            *self.who(), self.pick(KNOWING, VERB), ("that", CONJ), ("the", DET),
            (self._animal, NOUN), ("was", VERB), self.pick(QUALITIES, ADJ),
        ]  # fmt: skip

    def _meets(self) -> list[Word]:
        whom = [(self._other, NAME)] if self._chance.random() < 0.5 else self.a(
            self._chance.choice(FEMALE + MALE), QUALITIES
        )  # fmt: skip
        return [*self.who(), self.pick(MEETING, VERB), *whom, *self.at_place()]

    def _weather(self) -> list[Word]:
        return [
            ("the", DET), self.pick(TIMES[:6], NOUN), ("was", VERB), self.pick(WEATHERS, ADJ),
            ("and", CONJ), self.pick(WEATHERS, ADJ),
        ]  # fmt: skip

    def _animal_does(self) -> list[Word]:
        acts = ["slept", "ran", "waited", "played", "jumped", "drank"]
        return [("the", DET), (self._animal, NOUN), self.pick(acts, VERB), *self.at_place()]

    def _is(self) -> list[Word]:
        subject = [*self.who(), ("was", VERB)] if self._chance.random() < 0.7 else [
            self.own(), ("friends", NOUN), ("were", VERB)
        ]  # fmt: skip
        return [*subject, self.pick(QUALITIES, ADJ), ("and", CONJ), self.pick(QUALITIES, ADJ)]

    def _gives(self) -> list[Word]:
        return [
            *self.who(), self.pick(["gave", "showed", "brought", "sent"], VERB), *self.thing(),
            ("to", PREP), (self._other, NAME),
        ]  # fmt: skip

    def _joined(self) -> list[Word]:
        link = self.pick(["because", "but", "while", "when"], CONJ)
        return [*self._has(), link, *self._is()]


def _as_is(text: str) -> Callable[[Story], list[Word]]:
    """Return what makes a sentence of `word/tag` items, in which SLOTS stand for a choice."""
    items = [item.rsplit("/", 1) for item in text.split()]

    def make(story: Story) -> list[Word]:
        words: list[Word] = []
        for word, tag in items:
            if word == "WHO":
                words += story.who()
            elif word == "OWN":
                words.append(story.own())
            elif word == "WHEN":
                words += story.when()
            elif word == "WHERE":
                words += story.at_place()
            else:
                words.append(story.pick(word.split("|"), _SHORT[tag]))
        return words

    return make


_SHORT = {
    "d": DET, "n": NOUN, "v": VERB, "a": ADJ, "r": ADV, "p": PREP, "c": CONJ,
}  # fmt: skip

# Sentences with words of two meanings, a few for each meaning.
DOUBLE = [
    _as_is(text)
    for text in (
        "WHO/- sat|fished|slept|rested/v on/p the/d bank/n of/p the/d river|lake/n",
        "the/d green|wet|muddy/a bank/n of/p the/d river/n was/v quiet|steep/a",
        "WHO/- took|borrowed|saved/v money/n from|in/p the/d bank/n WHERE/-",
        "the/d rich|new/a bank/n lent|gave/v money/n to/p OWN/- father|mother|brother|sister/n",
        "the/d dog|fox/n began|wanted/v to/p bark/v loudly|suddenly/r WHERE/-",
        "the/d bark/n of/p the/d old|tall/a tree/n was/v brown|rough|wet/a",
        "the/d light/n of/p the/d lamp|moon|sun/n was/v bright|white|warm/a",
        "OWN/- bag|box|basket|coat/n was/v light/a and/c cheap|new|small/a",
        "WHO/- wanted|tried/v to/p light/v the/d fire|lamp|candle/n",
        "WHO/- wanted|liked|loved/v to/p watch/v the/d birds|ships|stars|children/n",
        "OWN/- gold|old|broken/a watch/n was/v in|on/p the/d table|box|bag/n",
        "WHO/- saw/v the/d birds|ships|stars|children/n WHERE/-",
        "WHO/- cut|made/v the/d wood|table|chair/n with/p a/d sharp|old|heavy/a saw/n",
        "WHEN/- the/d sun|moon/n rose/v slowly|quickly/r behind/p the/d mountain|forest/n",
        "WHO/- picked|planted|painted/v a/d red|white/a rose/n in/p the/d garden/n",
        "in/p the/d spring/n the/d birds|children/n came|sang/v again/r",
        "WHO/- drank/v cold|clear/a water/n from/p the/d spring/n WHERE/-",
        "the/d bell|bells/n began/v to/p ring/v in/p the/d church|school|station/n",
        "WHO/- lost|found|sold|wore/v a/d gold|small|beautiful/a ring/n WHERE/-",
        "the/d birds|ducks/n began|wanted/v to/p fly/v over/p the/d lake|sea|field/n",
        "a/d fly/n sat|walked|slept/v on/p the/d bread|cake|cheese|meat/n",
        "WHO/- left/v the/d house|town|village|school/n WHEN/-",
        "WHO/- held|hurt|washed/v OWN/- left/a hand|foot|arm/n",
        "WHO/- lit/v the/d fire|lamp|candle/n with/p a/d match/n",
        "OWN/- friends|brothers/n won|lost|played/v the/d match/n in/p the/d town|field/n",
        "WHO/- wanted|hoped/v to/p plant/v a/d rose|tree/n in/p the/d garden|field/n",
        "the/d little|green/a plant/n stood|died/v near|behind/p the/d window|door/n",
    )
]


def stories(seed: int) -> Iterator[list[list[Word]]]:
    """Yield stories without end, each a list of sentences of (word, part of speech)."""
    chance = random.Random(seed)  # noqa: S311 - nothing secret
    while True:
        yield [[*sentence, (".", MARK)] for sentence in Story(chance).sentences()]


def spelled(story: list[list[Word]]) -> list[Word]:
    """Return a story as written: capitals, and before each word the space that it has in text.

    The words joined by nothing are the text.
    """
    written = []
    for sentence in story:
        for place, (word, tag) in enumerate(sentence):
            shown = word[0].upper() + word[1:] if place == 0 else word
            space = "" if tag == MARK or not written else " "
            written.append((space + shown, tag))
    return written


def text_of(story: list[list[Word]]) -> str:
    """Return a story as text."""
    return "".join(word for word, _ in spelled(story))


if __name__ == "__main__":
    for _, told in zip(range(3), stories(seed=0), strict=False):
        print(text_of(told), end="\n\n")
