"""A request comes in. What takes long to read is read in a thread, and within the deadline."""

from __future__ import annotations

import asyncio

from hybridrt.deadline import Deadline
from hybridrt.errors import DeadlineError
from hybridrt.image import is_soon_read, read_pixels
from hybridrt.request import Image, Pixels, Request, RequestOptions, make_request, read_deadline_s, read_picture

# Up to here pixels are copied in a tenth of a millisecond, which is less than the way to a thread and back.
_SOON_COPIED_BYTES = 1024 * 1024


async def receive(prompt: object, options: RequestOptions) -> tuple[Request, Deadline]:
    """Build the request, and begin to count its time before a picture is opened or encoded.

    Raises:
        InvalidRequestError: the request is wrong.
        DeadlineError: the time was spent on reading the picture.
    """
    image = options.get("image")
    if image is None or isinstance(image, Image) or is_soon_read(image):
        request = make_request(prompt, options)
        return request, Deadline.start(request.deadline_s)
    if (pixels := read_pixels(image, _SOON_COPIED_BYTES)) is not None:
        request = make_request(prompt, {**options, "image": Pixels(*pixels)})
        return request, Deadline.start(request.deadline_s)
    deadline = Deadline.start(read_deadline_s(options))
    reading = asyncio.get_running_loop().run_in_executor(None, read_picture, image)
    # Who gives up waiting must not leave an error that nobody reads.
    reading.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        async with asyncio.timeout_at(deadline.at):
            read = await reading
    except TimeoutError:
        read = None
    if read is None:
        raise DeadlineError(
            f"the {deadline.budget_s:g} s given were spent on reading the picture",
            budget_s=deadline.budget_s or 0.0,
            spent_s=deadline.spent_s(),
        )
    return make_request(prompt, {**options, "image": read}), deadline
