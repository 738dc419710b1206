"""What counts as a statement about somebody's health."""

import pytest

from tests.sense.kit import labels

STATEMENTS = (
    "I was diagnosed with HIV",
    "I have type 2 diabetes and take metformin",
    "I've had a headache for three days",
    "I think I have covid",
    "I'm HIV positive",
    "I am an alcoholic",
    "I'm pregnant and scared",
    "I have been living with HIV for ten years",
    "I've been feeling suicidal lately",
    "I want to kill myself",
    "I tested positive for chlamydia",
    "I had an abortion last year",
    "I take 20mg of lisinopril daily",
    "my doctor put me on lithium",
    "My blood pressure is 150 over 90",
    "my psychiatrist upped my dose",
    "My knee hurts after running",
    "My mother has breast cancer",
    "my son is autistic",
    "My dad died of lung cancer in 2019",
    "my wife suffers from migraines",
    "My husband's chemo starts monday, draft an email to his boss",
    "my daughter, who is 7, was just diagnosed with type 1 diabetes",
    "he has schizophrenia and lives with us",
    "She takes Prozac for depression",
    "my patient presents with chest pain and shortness of breath",
    "Pt is a 54 y/o M w/ hx of HTN, diabetes",
    "summarise: 67yo female with CHF, admitted for dyspnea",
    "Write a letter to my insurer: I was hospitalized for pneumonia in March",
    "John Smith was diagnosed with leukemia",
    "My friend Tom has epilepsy, what should I do when he has a seizure?",
    "MY SISTER HAS LUPUS",
    "I just started insulin.",
    "Been HIV+ for 5 years, need advice on disclosure",
    "My gf is 8 weeks pregnant",
    "grandpa had a stroke yesterday",
    "My 4 year old has a fever of 39.5",
    "Our baby was born with a heart defect",
    "I was in rehab for cocaine last year",
    "my ex-husband has a drinking problem",
    "Ms. Garcia has stage III breast cancer and will start chemo",
    "Doctors found a tumor in my brain last week",
    "As someone with ADHD I struggle to focus",
    "my mother is a breast cancer survivor",
    "my brother committed suicide",
    "I need surgery next month",
    "my employee is on dialysis, may I ask for a note?",
)
TOPICS = (
    "What is HIV?",
    "How is diabetes treated?",
    "Explain the symptoms of depression",
    "I have a question about diabetes",
    "I'm writing an essay on cancer",
    "I have to write a paper about HIV prevention",
    "I want to know what causes migraines",
    "What happens when someone is diagnosed with cancer?",
    "Is ibuprofen safe for people with high blood pressure?",
    "What are the side effects of lithium?",
    "Which drugs are used against hepatitis C?",
    "Patients with asthma should avoid smoke",
    "A patient with diabetes needs regular checks",
    "She is a cancer researcher",
    "my dog is vomiting",
    "put it on my disco fever playlist",
    "I feel sick of this",
    "He had a stroke of luck",
    "Carly practices her butterfly stroke",
    "my hearing aids are broken",
    "we have a dataset on diabetes",
    "where can i get the flu shot",
    "The Great Depression hit my country hard",
    "my code has a memory leak",
    "A 45-year-old man has chest pain. Which of the following is the most likely diagnosis?\nA. Angina\nB. Reflux",
    "How does chemotherapy work?",
    "Write a story about a nurse",
    "define schizophrenia",
    "we need to treat depression as a society",
    "my company makes insulin pumps",
    "my wife is a doctor who treats cancer",
    "My son is studying autism",
    "I need a list of symptoms of lupus for my novel",
    "he has a stroke order chart for Chinese characters",
    "my boss is a pain",
    "we diagnosed the bug in production",
    "as a doctor, how would you treat migraine",
    "How long does a patient with pneumonia stay in hospital on average?",
    "I read that people with ADHD sleep badly",
)


@pytest.mark.parametrize("text", STATEMENTS)
def test_a_statement_about_a_person_is_found(text):
    assert labels(text, "health") == {"health"}


@pytest.mark.parametrize("text", TOPICS)
def test_a_topic_without_a_person_is_not(text):
    assert labels(text, "health") == set()


@pytest.mark.parametrize("text", STATEMENTS)
def test_a_statement_is_found_inside_a_longer_message(text):
    assert "health" in labels(f"Hello, I hope you can help. {text}. Thank you for reading this!\nBest wishes", "health")


def test_each_sentence_is_a_finding_of_its_own():
    from tests.sense.kit import found

    text = "I like tea. I have diabetes. The weather is fine. My son has asthma."
    assert [words for _, words in found(text, "health")] == ["I have diabetes", "My son has asthma"]
