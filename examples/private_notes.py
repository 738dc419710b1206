"""The same question with and without a person in it. Nothing is sent: `decide` only says what would be done."""

import asyncio

from hybridrt import Router
from hybridrt.application import Application, Binding

QUESTION = "Prove that the square root of two is irrational, and explain every step of the argument."


async def main() -> None:
    application = Application(bindings=(Binding("llama-server", "any-model"),))
    async with Router.open(application) as router:
        for text in (QUESTION, "I was diagnosed with epilepsy last week. " + QUESTION):
            decision = await router.decide(text)
            print(" then ".join(target.id for target in decision.plan), "-", decision.facts.sensitivity)


if __name__ == "__main__":
    asyncio.run(main())
