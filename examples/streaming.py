"""An answer as it is made, with a deadline: where it comes from first, then the words."""

import asyncio

from hybridrt import Done, Route, Router, Text


async def main() -> None:
    async with Router.open() as router:
        async for event in router.stream("Set a timer for ten minutes", deadline_s=20.0):
            match event:
                case Route():
                    print(f"asking {event.target} on the {event.place}")
                case Text():
                    pass  # show event.text to the person
                case Done():
                    print(f"done: {event.answer.finish}, {event.answer.usage.output_tokens} tokens")


if __name__ == "__main__":
    asyncio.run(main())
