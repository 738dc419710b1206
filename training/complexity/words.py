"""Write the list of common English words: those that stand in several unrelated sources of prompts.

    python -m training.complexity.words /path/to/routing hybridrt/sense/english.txt

The list holds no text of the sources, only single words that at least four of them share.
"""

import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

from hybridrt.sense.wordlist import wordset

SOURCES = 4  # a name or a term of one field does not reach this many
PROMPTS = 6


def main(data: Path, out: Path) -> None:
    where: dict[str, set[str]] = defaultdict(set)
    prompts: Counter[str] = Counter()
    for name in ("prompts.jsonl", "train.jsonl"):
        for line in (data / name).open(encoding="utf-8"):
            row = json.loads(line)
            source = row.get("task") or row["source"].split()[0]
            for word in set(re.findall(r"[a-z]+(?:'[a-z]+)*", row["prompt"].lower())):
                where[word].add(source)
                prompts[word] += 1
    prompts.update(dict.fromkeys(CHAT, PROMPTS))
    for word in CHAT:
        where[word] = {str(n) for n in range(SOURCES)}
    words = sorted(
        w for w, s in where.items() if len(s) >= SOURCES and prompts[w] >= PROMPTS and (len(w) > 2 or w in SHORT) and not FOREIGN & {w}
    )
    out.write_text("\n".join([*words, ""]), encoding="ascii")
    print(len(words), "words")


# The words of one or two letters; all others of that size are symbols, or words of another language.
SHORT = wordset("a i am an as at be by do go he hi if in is it me my no of oh ok on or so to tv uk um up us vs we ya yo pm ai dr mr ms pi")

# Words of other languages that titles and quotations carry into English prompts.
FOREIGN = wordset(
    "el la los las les der das und il le que en von dos des du de del di da una un le et je est mi tu su sie ist mit auf por para con "
    "como y amor vie sur "
    "ciao casa dia och het een van ne na og te ta nu om si ya"
)

# What people say to an assistant and seldom write in a question.
CHAT = wordset(
    "thanks thank thx hello hey hi bye goodbye goodnight morning evening please sorry okay ok yeah yep yes nope nah cool great awesome "
    "nice lol haha wow hmm "
    "cheers welcome cancel stop pause resume louder quieter mute unmute nevermind oops um uh huh gonna wanna gotta dunno kinda remind "
    "reminder timer alarm "
    "snooze calendar playlist volume shuffle podcast selfie wifi bluetooth laptop phone app email inbox browser login logout password "
    "username download upload "
    "doctor nurse hospital medication medicine symptoms headache allergy pregnant diagnosed insurance invoice refund lawyer landlord "
    "rent mortgage"
)

if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
