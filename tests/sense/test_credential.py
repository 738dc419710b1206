"""What counts as a secret."""

import pytest

from tests.sense.kit import found, labels, wide

# Made up here; joined so that no scanner of repositories takes them for real.
AWS = "AKIA" + "QYLPMN5HHHFPZAM2"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
STRIPE = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
ANTHROPIC = "sk-ant-" + "api03-Ab12Cd34Ef56Gh78Ij90Kl12"
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0.dBjftJeZ4CVP"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n0Z3VS5JJcds3xfn\n-----END RSA PRIVATE KEY-----"

SECRETS = (
    (f"use {AWS} for the bucket", AWS),
    (f"git clone https://x:{GITHUB}@github.com/o/r", GITHUB),
    (f"STRIPE={STRIPE}", STRIPE),
    (f'client = Anthropic(api_key="{ANTHROPIC}")', ANTHROPIC),
    (f"Authorization: Bearer {JWT}", JWT),
    (PEM, PEM),
    ("my password is hunter2", "hunter2"),
    ("My Password Is: Blue42Sky!", "Blue42Sky!"),
    ("the wifi password for the office is SunnyDay99", "SunnyDay99"),
    ("my password is swordfish", "swordfish"),
    ("the password's Tr0ub4dor&3", "Tr0ub4dor&3"),
    ("change my password to Summer2024!", "Summer2024!"),
    ("login bob password s3cret99", "s3cret99"),
    ("DB_PASSWORD=s3cr3t-pw", "s3cr3t-pw"),
    ('password: "correct-horse"', "correct-horse"),
    ('{"user": "bob", "password": "hunter22"}', "hunter22"),
    ("Server=db;User Id=sa;Password=Pa55w0rd!;", "Pa55w0rd!"),
    ("postgres://admin:s3cretpw@db.example.com:5432/x", "s3cretpw"),
    ("redis://:p4ssw0rd@cache:6379/0", "p4ssw0rd"),
    ("mysql --password=hunter2 -h db", "hunter2"),
    ("curl -u elastic:P4ssw0rd https://localhost", "P4ssw0rd"),
    ("my pin is 4821", "4821"),
    ("my pin is 4821. Please keep it", "4821"),
    ("change my amex pin to 1234", "1234"),
    ("pw: Tr0ub4dor", "Tr0ub4dor"),
    ("creds are admin/admin123", "admin123"),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYabcdefghij", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYabcdefghij"),
    ("the wifi code is 88442211", "88442211"),
    ("my ATM pin's 4432", "4432"),
    ('my password: "correct horse battery staple"', "correct horse battery staple"),
    ('{"password": "two words", "x": "y"}', "two words"),
    ("the password is $ecret123, keep it", "$ecret123"),
    ("password: my_dog_2020", "my_dog_2020"),
    ("Is my password (hunter2) safe? My password is hunter22.", "hunter22"),
    ("the alarm code is 9921", "9921"),
    ("your verification code is 493021", "493021"),
    ('api_key = "9f8a7b6c5d4e3f2a"', "9f8a7b6c5d4e3f2a"),
    ("the token is 8f14e45fceea167a5a36", "8f14e45fceea167a5a36"),
    ("AccountKey=Zm9vYmFyYmF6MTIzNDU2Nzg5MA==;", "Zm9vYmFyYmF6MTIzNDU2Nzg5MA=="),
    (
        "my seed phrase is apple river stone cloud tiger maple ocean piano lemon dusty arrow globe",
        "apple river stone cloud tiger maple ocean piano lemon dusty arrow globe",
    ),
    ("my pаssword is hunter2", "hunter2"),  # noqa: RUF001 - a Cyrillic letter in the word
    ("my pass\u200bword is hunter2", "hunter2"),
    (wide("my password is hunter2"), wide("hunter2")),
)
NO_SECRETS = (
    "what is my password",
    "my password is not working",
    "the password is incorrect, please try again",
    "is my password secure?",
    "a password is required to log in",
    "how do I reset a forgotten password?",
    "password: str",
    "password: z.string()",
    "password = input('Password: ')",
    'api_key = os.environ["API_KEY"]',
    "api_key=YOUR_API_KEY",
    'api_key="<your key here>"',
    "password=********",
    "password=${DB_PASSWORD}",
    "token = tokenizer.next()",
    "for token in tokens: print(token)",
    "the key is to practise every day",
    "the secret is in the sauce",
    "press any key to continue",
    "my api key is invalid",
    "the code is 200 OK when it works",
    "zip code 94110",
    "ghp_" + "x" * 36,
    "commit 3f786850e387550fdab836ed7e6dc881de23001b",
    "i need to update the pin number of my visa",
    "https://example.com/a/b?page=2",
    "check to see if i need a pass to use the garage",
    "sort by primary key id",
    "pass the salt",
    'print("password: " + value + " end")',
    'input("Enter your password: ")',
    "password=$DB_PASSWORD",
    "JWT_SECRET=\nPORT=3000",
    "The password on the terminal was his dead wife's name.",
    "password = self.password",
    "api_key=%API_KEY%",
    "const token = await getToken(user);",
    "SECRET_KEY = config('SECRET_KEY')",
    "the key takeaway is: be kind",
    "error code 0x80070005",
    "the code is 12 lines long",
    "def check(password: str, hashed: bytes) -> bool:",
    "he went from basic training to the front",
)


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_a_secret_is_found_exactly(text, secret):
    assert secret in {words for _, words in found(text, "credential")}


@pytest.mark.parametrize("text", NO_SECRETS)
def test_talk_about_secrets_and_code_without_one_are_none(text):
    assert labels(text, "credential") == set()
