"""Fuzzing: random input for parsers, file loaders, and a real server's routes and workflows.

    python dev.py fuzz --minutes 10 --seed 3

Every answer must be a result or one of our own messages: a ValueError that a `raise` of ours raised, a route's JSON
with its `error`, or ComfyUI's own validation of a prompt. No input may take over a second, and while the pack's routes
are asked, no other route over a tenth. The same seed gives the same inputs, in the same order.

How time is judged. On a machine that does other work too, the time on the clock is not ours alone. So each input is
charged the processor time that the server took for it (or this process, for what runs in it), and another route's
answer the lesser of its time on the clock and the processor time that the server took meanwhile: a route that waits
because of us waits while the server works, and one that waits because the machine gave the server no time does not. On
a machine that is free the two are the same. The times on the clock are printed beside them, and so is how long the
other routes took while nothing was asked of the pack: that is what the machine adds. They are asked from a process of
their own, so that this one is not what is slow.

Workflows run on a server of their own. The first ones load models: their time is printed, not judged.
"""
