"""Statements about people on protected subjects, told apart from the subjects."""

import pytest

from benchmarks.sensing.leave import HELD, SETS, levels, rows
from hybridrt.sense import Senses
from tests.sense.kit import found, labels

# One statement and one near miss per subject and line: the same words, somebody's and nobody's.
PAIRS = (
    ("genetic", "I'm a BRCA1 carrier and thinking about surgery", "What is a BRCA1 carrier?"),
    ("genetic", "my 23andme shows I have the APOE4 mutation", "how accurate is a gene test for APOE4"),
    ("biometric", "My employer took my fingerprints, I want them deleted", "How do fingerprint readers work?"),
    ("ethnicity", "My boss mocked me because I'm Kurdish", "Where do Kurdish people live?"),
    ("ethnicity", "our tenant is Roma and the neighbours complain", "the history of the Roma in Europe"),
    ("politics", "I voted for the green party and my dad found out", "Why do people vote for green parties?"),
    ("politics", "my colleague Ivo is a communist", "explain how communist parties are organised"),
    ("religion", "I'm a Muslim and need a prayer room at work", "What do Muslims believe?"),
    ("religion", "my wife converted to Judaism last year", "how does one convert to Judaism"),
    ("union", "I joined the union and my shifts were cut", "write a blog post about unions"),
    ("union", "our member list of the union, with Maria's dues: Maria 34, Jon 28", "What are union dues for?"),
    ("sex_life", "my boss found out I'm gay", "When was being gay decriminalised in England?"),
    ("sex_life", "My husband cheated on me with a colleague", "Why do people cheat?"),
    ("criminal", "she was convicted of theft in 2019", "What is the penalty for theft?"),
    ("criminal", "my brother is on probation for assault", "How does probation work?"),
    ("substance_use", "I relapsed on heroin last weekend", "What does heroin do to the brain?"),
    ("psychotherapy_notes", "Session notes: client disclosed abuse by an uncle", "How long is a therapy session?"),
    ("child", "my son Leo, 7, wets the bed", "Why do some children wet the bed?"),
    ("student", "my gpa is 2.1 and i'm on academic probation", "what GPA does Stanford ask for?"),
    (
        "employee",
        "draft a warning letter to our employee J. Smith about his absences",
        "draft a template for a warning letter about absences",
    ),
    ("employee", "I have to fire my assistant, she has been late nine times", "When may somebody be fired for being late?"),
    ("financial", "I owe 23k on three credit cards", "How does credit card debt grow?"),
    ("financial", "my salary is 87,000 and my ex wants half", "What is the average salary of a nurse?"),
    ("legal_privilege", "My lawyer says we should settle for 45k", "What does a lawyer charge?"),
    ("legal_privilege", "Privileged and confidential: the board knew in 2021", "What is attorney-client privilege?"),
    ("health", "thyroid removed 2 weeks ago, on 100 mcg levothyroxine", "What is levothyroxine for?"),
    ("health", "HIV positive since 2019, on antiretrovirals, which diet?", "What is HIV?"),
    ("health", "58yo F, CKD3, on metformin, which dose?", "who should not take metformin?"),
    ("health", "our tenant has shizophrenia and stopped his meds", "is schizophrenia hereditary"),
    ("health", "my aunt has pheochromocytoma", "what is pheochromocytoma"),
)
STORY = "My brother came home yesterday. He did not say much at first. The doctors say it is lymphoma."
# Somebody stands in each of these, and nobody whom the request could harm.
NOBODY = (
    "Write a story about a girl named Ana who was convicted of theft",
    "In my novel the heroine is a heroin addict",
    "Tom owes Jane $45 and pays back a third. How much does he still owe?",
    "Maria earns $12 an hour and works 8 hours. How much does she earn?",
    "Was Oscar Wilde convicted of gross indecency?",
    "Freddie Mercury was gay. Which songs did he write in 1985?",
    "The actor said that he had been sober for ten years. Shorten it",
    "Employee(salary=50_000); class Patient: def diagnose(self): return self.hiv",
    "If an employee is late every day, what may the employer do?",
    "my union types in typescript do not narrow",
    "compare Messi and Ronaldo",
    "I'm religious about backups. Which tool?",
    "I vote for pizza",
    "how do I ask my boss for a raise",
    "transfer 50 dollars from my savings to checking",
)


@pytest.mark.parametrize(("label", "statement", "topic"), PAIRS)
def test_a_statement_about_somebody_is_found_and_the_subject_alone_is_not(label, statement, topic):
    assert label in labels(statement, "topics", "health", "people")
    assert labels(topic, "topics", "health", "people") == set()


@pytest.mark.parametrize("text", NOBODY)
def test_people_of_stories_sums_and_public_life_are_nobody(text):
    assert labels(text, "topics") == set()


def test_a_story_over_several_sentences_is_told_of_the_person_it_began_with():
    assert ("health", "The doctors say it is lymphoma") in found(STORY, "topics")
    assert labels("The doctors say it is lymphoma when the nodes swell", "topics") == set()


@pytest.mark.parametrize(("label", "statement", "topic"), PAIRS[::3])
def test_capitals_and_a_long_text_around_it_hide_no_statement(label, statement, topic):
    assert label in labels(statement.lower(), "topics", "health", "people")
    assert label in labels(f"The weather was fine all week. {statement}. Nothing else happened.", "topics", "health", "people")
    assert topic


def test_a_finding_is_the_sentence_and_nothing_else():
    assert found("I like tea. My brother was convicted of theft! The weather is fine.", "topics") == [
        ("criminal", "My brother was convicted of theft")
    ]


# The sets are ours and the rules were tuned to all but the last, so these say only that nothing was lost since: below what was
# measured. The rules alone; what the net of statements adds is measured by `benchmarks.sensing.leave`.
LOST = {"1": 0.95, "2": 0.93, "3": 0.93, "4": 0.9, "5": 0.75, "6": 0.5, "7": 0.6}
ALARMS = {"1": 0.012, "2": 0.03, "3": 0.035, "4": 0.02, "5": 0.03, "6": 0.045, "7": 0.06}


@pytest.mark.parametrize("number", SETS)
def test_requests_that_must_not_leave_are_held(number):
    seen = levels(Senses(), [text for _, text in rows(f"leave-{number}.txt")])
    assert sum(level in HELD for level in seen) / len(seen) >= LOST[number]


@pytest.mark.parametrize("number", SETS)
def test_harmless_requests_are_let_go(number):
    seen = levels(Senses(), [text for _, text in rows(f"clean-{number}.txt")])
    assert sum(level in HELD for level in seen) / len(seen) <= ALARMS[number]
