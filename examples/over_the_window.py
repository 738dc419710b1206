"""A request that does not fit says so with both numbers; nothing is cut."""

import asyncio

from hybridrt import Router
from hybridrt.errors import ContextOverflowError


async def main() -> None:
    async with Router.open() as router:
        try:
            await router.infer("Summarise this: " + "the river rose again. " * 500)
        except ContextOverflowError as error:
            print(f"needs {error.needed} tokens, the window has {error.window}")


if __name__ == "__main__":
    asyncio.run(main())
