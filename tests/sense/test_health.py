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
# Something stands between the person and the verb: an age, a birth, an apposition, a clause about them.
INSERTS = (
    "My patient Mrs Okafor, born 3 May 1961, was diagnosed with type 2 diabetes.",
    "My daughter Ana, who is 7, has leukaemia",
    "Ana Okafor, 62, is being treated for depression",
    "The client, a 45 year old teacher, takes lithium for bipolar disorder",
    "My husband Tom, 71, was admitted with pneumonia last night",
    "Our son Leo (9) has asthma",
    "Mr. Diaz, of 14 Elm Road, is on dialysis",
    "Mrs Okafor - our oldest resident - has dementia",
    "Mrs Okafor — our oldest resident — has dementia",
    "My colleague, who sits next to me, is pregnant",
    "Ana, my daughter, has leukaemia",
    "My neighbour, a retired teacher, suffers from epilepsy",
    "I, like my father, have type 1 diabetes",
    "Peter Lang (born 1961) was diagnosed with prostate cancer",
    "The patient, a 54-year-old woman, was diagnosed with lupus",
    "The resident in room 12, Mrs Bell, has dementia",
    "Our client John, whom you met in May, is taking lithium",
    "My wife Eva, pregnant with our second, has gestational diabetes",
    "Emma Stone-Lee, aged 34, takes sertraline",
    "Mrs Okafor's diabetes is getting worse",
    "Her father, who died in 2010, had Parkinson's",
    "My twin brother, Sam, has been living with HIV since 2015",
    "The employee, Ms Novak, is on sick leave because of depression",
    "My son, thank God, is no longer on chemo",
    "I have, according to my doctor, high blood pressure",
    "my daughter Ana has had leukaemia since March",
    "Tom, my 8 year old, has ADHD",
    "Grandad, who is 90, has dementia",
    "His partner, also a nurse, tested positive for HIV",
    "The claimant, a lorry driver, suffers from chronic back pain",
    "A client of mine, 45, takes lithium",
    "One of my students, a girl of 14, has anorexia",
    "my daughter (7) has leukaemia",
    "my daughter ana, 7, has leukaemia",
    "Ana Okafor, born May 3, 1961, was diagnosed with breast cancer",
    "Mr Haddad, whose wife you know, has early Parkinson's",
    "My mother, 80, and living alone, has dementia",
    "the client takes lithium",
    "Dear Dr Lee, my husband Tom, aged 71, was diagnosed with Parkinson's last week.",
    "My sister Jo, bless her, has just been diagnosed with MS and lupus",
    "My flatmate (the one from Porto) has hepatitis B",
    "Ms Novak, your patient since 2011, was hospitalised with sepsis on Monday",
    "My uncle, on my mother's side, died of lung cancer",
    "Jonas Berg, 35, tested positive for HIV",
    "The deceased, a man of 72, had cirrhosis",
    "Please write to the school: our daughter Mia, who started there in September, has epilepsy.",
    "Dear Sir, my late husband, Karl, born in 1944, suffered from asbestosis and lung cancer",
    "Mrs. Lind (82, widowed) was admitted with pneumonia",
    "hey so my bf, the one you met, has herpes",
    "My brother's son, Max, 4, was born with a heart defect",
    "Maria Lopez, a nurse from ward 3, takes antidepressants",
    "The patient, Mr Chen, has a history of stroke",
    "Our lodger, aged 30, is bipolar",
    "Ravi Patel, whose file is attached, was treated for alcoholism",
    "My mum, bless her, is in hospital",
    "my manager, who i really like, told me he's depressed",
    "John, our CFO, had a heart attack on Friday",
    "Mr Khan, 55, diabetic, needs insulin twice a day",
    "The tenant, Ms Ito, 41, is pregnant",
    "My aunt Rosa, now in Lisbon, started chemotherapy",
)
NO_INSERTS = (
    "My company, a startup in Berlin, makes insulin pumps",
    "My son, who is 12, is writing an essay on cancer",
    "My teacher, Mr Brown, has asked us to write about HIV",
    "My wife, a doctor, treats cancer",
    "My wife, an oncologist, has published on leukemia",
    "The client, a Python script, has a memory leak",
    "Ana, who has 3 apples, gives Ben 2. How many are left?",
    "Who, among US presidents, had polio?",
    "Which drugs, apart from lithium, are used for bipolar disorder?",
    "People with diabetes, a common disease, should exercise",
    "Does everyone, including children, get the flu?",
    "Patients, especially older ones, have hypertension more often",
    "A patient, aged 50, with diabetes needs regular checks",
    "Our policy, effective May 1, covers cancer screening",
    "We, the undersigned, have concerns about asthma inhalers",
    "I, for one, have no opinion about HIV vaccines",
    "He, she and they are pronouns; now explain depression",
    "In the novel, Hazel Grace, a teenager, has cancer. What does the title mean?",
    "Write a story in which Ana, 7, has leukaemia",
    "The main character, Walter White, is diagnosed with lung cancer. Why does he lie?",
    "Our cat, Tom, 12, takes insulin",
    "My dog, a labrador, has diabetes",
    "Lupus, an autoimmune disease, is treated with prednisone",
    "Diabetes is treated with insulin",
    "Sertraline, sold as Zoloft, is an SSRI",
    "Norway, a country in Europe, has high cancer rates",
    "My friend, what should someone who, like many, has diabetes eat?",
    "The employee, if eligible, is on sick leave for up to six weeks",
    "An employee, including a contractor, who has an illness must tell HR",
    "class Patient: has_diabetes: bool = False",
    "SELECT name FROM patients WHERE age > 60 AND condition = 'asthma'",
    "Insulin, discovered in 1921, is a hormone",
    "Explain how a vaccine, such as the flu shot, works",
    "If a person, say aged 40, has hypertension, what should they eat?",
    "Describe how nurses, in general, treat depression",
    "Pfizer, a drug company, has announced a study of insulin",
    "Measles, a viral disease, is contagious",
    "London, the capital, has a flu epidemic every winter",
    "My startup, founded in 2020, has an app for migraine research",
    "Our team, including Tom, has built a classifier for pneumonia",
    "Is the client, by default, allowed to retry?",
    "Plan a lesson on the heart, its parts, and heart disease",
    "Paris, the city of light, has a depression-era museum",
    "In the series, Dr House, a diagnostician, takes vicodin. Why?",
    "Our app, launched in May, is for people with diabetes",
    "Beethoven, born in 1770, was a composer. When did he write Fidelio?",
    "The server, after the update, suffers from memory leaks",
    "My manager, Tom, has asked for a summary of the flu policy",
    "The committee, chaired by Ms Ito, has approved the cancer fund",
    "Vitamin C, taken daily, is said to prevent colds and flu",
    "The book, by John Green, is about cancer",
    "A 30 year old man, let's call him Bob, buys 3 apples",
    "Ben, who weighs 80 kg, is running 5 km. How long?",
    "My cousin, a vet, treats cats with diabetes",
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


@pytest.mark.parametrize("text", INSERTS)
def test_what_stands_between_a_person_and_the_verb_hides_no_statement(text):
    assert labels(text, "health") == {"health"}
    assert "health" in labels(f"Good morning. {text.rstrip('.')}. Please advise.\nRegards", "health")


@pytest.mark.parametrize("text", NO_INSERTS)
def test_commas_around_a_topic_a_story_or_a_rule_make_no_statement(text):
    assert labels(text, "health") == set()


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


async def test_the_patient_of_the_demonstration_is_special_whatever_follows():
    from hybridrt.cli.demo import HARD, PATIENT
    from hybridrt.request import make_request
    from hybridrt.sense import Senses

    assert (await Senses().sense(make_request(PATIENT, {}))).privacy.sensitivity == "special"
    assert (await Senses().sense(make_request(HARD, {}))).privacy.sensitivity == "public"
