"""The first request: answered on this device, and the plan for one that may not leave it."""

import asyncio

from hybridrt import Router


async def main() -> None:
    async with Router.open() as router:
        answer = await router.infer("Remind me to call Ana at 17:30", max_output_tokens=16)
        print(f"answered on the {answer.place}, {answer.receipt.bytes_out} bytes left it")
        print((await router.decide("My patient was diagnosed with diabetes")).explain())


if __name__ == "__main__":
    asyncio.run(main())
